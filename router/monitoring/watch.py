"""Notices that an experiment has moved or that a golden run has come, so that the targets are told of it at once."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select

from experiments.golden.store import GuardStore
from experiments.rows import look_of
from experiments.store import Look, RouteState, Store
from experiments.tables import GOLDEN_RUN, LOOK
from router.monitoring.report import RunReport
from router.monitoring.runs import Standing, golden_report, standing_report

_Seen = tuple[int, str, int, int, int]
"""Epoch, phase, stage, split in basis points, golden runs."""


class RunWatch:
    """Returns what is new of the present epochs; after a start, and after `forget`, all of them.

    Args:
        store: Migrated by the first call.
        experiments: Their names.
    """

    def __init__(self, store: Store, experiments: Iterable[str]) -> None:
        self._store = store
        self._experiments = tuple(experiments)
        self._guards = GuardStore(store.engine)
        self._seen: dict[str, _Seen] = {}

    def __repr__(self) -> str:
        return f"<RunWatch of {len(self._experiments)} experiments>"

    def forget(self) -> None:
        """Take everything for new."""
        self._seen.clear()

    def news(self) -> list[RunReport]:
        """Return how each experiment stands that has moved, and its golden runs that have come; costs little if none.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The store cannot be read.
        """
        found: list[RunReport] = []
        states = self._store.route_states()
        for name in self._experiments:
            if (state := states.get(name)) is not None:
                found += self._news_of(name, state)
        return found

    def _news_of(self, name: str, state: RouteState) -> list[RunReport]:
        route, runs = state.route, self._golden_runs(name, state.route.epoch)
        seen = (route.epoch, route.phase.value, route.stage, route.split_basis_points, runs)
        before = self._seen.get(name)
        if seen == before:
            return []
        found = []
        if before is None or seen[:-1] != before[:-1]:
            found += self._standing(name, state)
        known = before[-1] if before is not None and before[0] == route.epoch else 0
        if runs > known:
            found += [golden_report(run) for run in self._guards.runs(name, route.epoch) if run.number > known]
        self._seen[name] = seen
        return found

    def _standing(self, name: str, state: RouteState) -> list[RunReport]:
        epoch = next((e for e in self._store.epochs(name) if e.number == state.route.epoch), None)
        if epoch is None:
            return []
        change = next((t for t in reversed(self._store.transitions(name)) if t.epoch == epoch.number), None)
        look = self._look(name, epoch.number, change.look) if change is not None and change.look is not None else None
        decision = look.decision if look is not None else None
        return [standing_report(Standing(state, epoch, change, decision))]

    def _golden_runs(self, name: str, epoch: int) -> int:
        columns = GOLDEN_RUN.c
        query = select(func.max(columns.number)).where(columns.experiment == name, columns.epoch == epoch)
        with self._store.engine.connect() as connection:
            return connection.execute(query).scalar_one() or 0

    def _look(self, name: str, epoch: int, number: int) -> Look | None:
        columns = LOOK.c
        query = select(LOOK).where(columns.experiment == name, columns.epoch == epoch, columns.number == number)
        with self._store.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return look_of(row) if row is not None else None
