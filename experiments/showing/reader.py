"""Reads what is shown. Never the tables of exchanges, outcomes or feedback: a page costs the same after a year.

What a face needs of them is in the looks: each has its evidence, and the newest one the state of the statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Text, cast, select

from experiments.config.records import Config, Experiment
from experiments.evidence import Interval, Kind, Verdict
from experiments.golden.store import Gate, GoldenRun, GuardStore
from experiments.model import CONTROL, TREATMENT, Phase
from experiments.showing.standing import DailyRow, Standing
from experiments.spending import account as accounts
from experiments.spending.account import Account
from experiments.spending.store import SpendStore
from experiments.store import Epoch, Look, RouteState, Store, Transition
from experiments.tables import DAILY_QUALITY, GOLDEN_RUN, LOOK
from experiments.telling.incidents import IncidentView, open_now

SERIES_POINTS = 200
"""Looks of a series at most: more than the pixels between two of them can show."""


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a series needs of one metric in one slice at one look; as in `MetricEvidence`."""

    metric: str
    role: str
    kind: Kind
    slice: str = ""
    verdict: Verdict
    units: int
    estimate: float | None = None
    interval: Interval | None = None
    margin: float | None = None
    tolerance: float | None = None
    weight: float = 0.0
    log_e_harm: float | None = None
    log_e_noninferior: float | None = None


class SeriesPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One look of a series."""

    number: int
    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    stage: int
    action: str
    phase: Phase
    units: int
    metrics: list[MetricPoint]


class _Evidence(msgspec.Struct, frozen=True):
    """The part of an evidence that is decoded: the rest is skipped, not parsed into objects."""

    phase: Phase
    units: int
    metrics: list[MetricPoint]


_EVIDENCE = msgspec.json.Decoder(_Evidence)


class Showing:
    """What faces read.

    Args:
        store: Migrated.
        config: Names the experiments.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._guards = GuardStore(store.engine)

    def __repr__(self) -> str:
        return f"<Showing {self._store!r}>"

    def standings(self) -> list[Standing]:
        """Return how every configured experiment stands, in the order of the configuration."""
        states, gates = self._store.route_states(), self._guards.gates()
        return [self._standing(name, states.get(name), gates.get(name)) for name in self._config.experiments]

    def standing(self, name: str) -> Standing:
        """Return how one experiment stands.

        Raises:
            KeyError: There is no experiment of this name.
        """
        if name not in self._config.experiments:
            raise KeyError(name)
        return self._standing(name, self._store.route_states().get(name), self._guards.gates().get(name))

    def _standing(self, name: str, state: RouteState | None, gate: Gate | None) -> Standing:
        epoch = self._store.latest_epoch(name)
        number = state.route.epoch if state is not None else 0
        experiment = experiment_of(epoch) if epoch is not None else self._config.experiments[name]
        return Standing(
            experiment=experiment,
            state=state,
            epoch=epoch,
            look=self._store.latest_look(name, number) if state is not None else None,
            transitions=tuple(self._store.transitions(name)),
            golden=self.latest_golden(name, number),
            gate=gate,
            power_uncertainty_percent=self._power_uncertainty_percent(experiment),
            concurrencies=self.concurrencies(experiment),
            account=self.account(experiment, number),
        )

    def concurrencies(self, experiment: Experiment) -> tuple[float, float] | None:
        """Return how many answers share control's and the treatment's machine; None unless both are configured."""
        control, treatment = (self._config.backends.get(name) for name in (experiment.control, experiment.treatment))
        shared = [accounts.concurrency(backend) for backend in (control, treatment) if backend is not None]
        return (shared[0], shared[1]) if len(shared) == 2 and shared[0] and shared[1] else None

    def account(self, experiment: Experiment, epoch: int) -> Account | None:
        """Return what an epoch used; None for backends that the configuration does not know any more."""
        control, treatment = (self._config.backends.get(name) for name in (experiment.control, experiment.treatment))
        if control is None or treatment is None:
            return None
        rows = SpendStore(self._store.engine).read(experiment.name, epoch)
        return accounts.account(rows, {CONTROL: control, TREATMENT: treatment})

    def _power_uncertainty_percent(self, experiment: Experiment) -> float | None:
        backends = [self._config.backends.get(name) for name in (experiment.control, experiment.treatment)]
        powers = [backend.power for backend in backends if backend is not None and backend.power is not None]
        return max((power.uncertainty_percent for power in powers), default=None)

    def epochs(self, name: str) -> list[Epoch]:
        """Return all epochs of an experiment, in order."""
        return self._store.epochs(name)

    def latest_look(self, name: str, epoch: int) -> Look | None:
        """Return the newest look of an epoch, with the state of the statistics."""
        return self._store.latest_look(name, epoch)

    def transitions(self, name: str) -> list[Transition]:
        """Return what happened to an experiment, in order."""
        return self._store.transitions(name)

    def incidents(self, now: float) -> list[IncidentView]:
        """Return what nobody has acknowledged yet, the oldest first.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        return open_now(self._store, self._config, now)

    def golden_runs(self, name: str, epoch: int) -> list[GoldenRun]:
        """Return the golden runs of an epoch with their items, in order."""
        return self._guards.runs(name, epoch)

    def latest_golden(self, name: str, epoch: int) -> GoldenRun | None:
        """Return the newest golden run of an epoch, without its items."""
        columns = [column for column in GOLDEN_RUN.c if column.name not in {"seq", "items"}]
        query = select(*columns).where(GOLDEN_RUN.c.experiment == name, GOLDEN_RUN.c.epoch == epoch)
        with self._store.engine.connect() as connection:
            row = connection.execute(query.order_by(GOLDEN_RUN.c.number.desc()).limit(1)).mappings().first()
        return GoldenRun(**row) if row else None

    def daily_quality(self, name: str, epoch: int) -> list[DailyRow]:
        """Return the quality of each day, metric, slice and variant of an epoch, by day."""
        columns = DAILY_QUALITY.c
        query = select(DAILY_QUALITY).where(columns.experiment == name, columns.epoch == epoch)
        with self._store.engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.day, columns.metric, columns.slice)).mappings().all()
        return [DailyRow(**{field: row[field] for field in DailyRow.__struct_fields__}) for row in rows]

    def series(self, name: str, epoch: int, points: int = SERIES_POINTS) -> list[SeriesPoint]:
        """Return looks of an epoch that are evenly spaced, always with the first, the last and those that acted.

        The time does not grow with the number of looks: the chosen ones are found by their key, one by one.

        Args:
            name: Of the experiment.
            epoch: Its number.
            points: How many looks at most, at least 2.

        Raises:
            ValueError: Fewer than 2 points are asked for.
        """
        if points < 2:
            raise ValueError(f"points == {points!r}, must be >= 2")
        first, last = (self._number(name, epoch, newest=newest) for newest in (False, True))
        if first is None or last is None:
            return []
        acted = [t.look for t in self._store.transitions(name) if t.epoch == epoch and t.look is not None]
        return [_series_point(row) for row in self._rows(name, epoch, chosen_looks(first, last, points, acted))]

    def _number(self, name: str, epoch: int, *, newest: bool) -> int | None:
        number = LOOK.c.number
        query = select(number).where(LOOK.c.experiment == name, LOOK.c.epoch == epoch)
        with self._store.engine.connect() as connection:
            return connection.execute(query.order_by(number.desc() if newest else number).limit(1)).scalar_one_or_none()

    def _rows(self, name: str, epoch: int, numbers: Sequence[int]) -> Sequence[Any]:
        # The state, which is most of a look, is not even read; the evidence comes as text, to be decoded in part.
        columns = LOOK.c
        query = (
            select(columns.number, columns.at, columns.stage, columns.action, cast(columns.evidence, Text))
            .where(columns.experiment == name, columns.epoch == epoch, columns.number.in_(numbers))
            .order_by(columns.number)
        )
        with self._store.engine.connect() as connection:
            return connection.execute(query).all()


def experiment_of(epoch: Epoch) -> Experiment:
    """Return the experiment under which an epoch runs: with the alpha of its attempt, whatever the file says by now."""
    return Experiment.model_validate_json(msgspec.json.encode(epoch.config))


def chosen_looks(first: int, last: int, points: int, acted: Sequence[int]) -> list[int]:
    """Return which looks to load: evenly spaced, with both ends and those that acted; the newest of these, if too many.

    >>> chosen_looks(1, 1000, 5, [17])
    [1, 17, 334, 667, 1000]
    """
    kept = {number for number in acted if first < number < last}
    kept = set(sorted(kept)[-(points - 2) :]) if points > 2 else set()
    steps = max(1, points - 1 - len(kept))
    evenly = {first + round(step * (last - first) / steps) for step in range(steps + 1)}
    return sorted(kept | evenly)


def _series_point(row: Any) -> SeriesPoint:
    number, at, stage, action, text = row
    seen = _EVIDENCE.decode(text)
    return SeriesPoint(
        number=number, at=at, stage=stage, action=action, phase=seen.phase, units=seen.units, metrics=seen.metrics
    )
