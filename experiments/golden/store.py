"""Golden runs, and what gated experiments wait for, in the store. Records in, records out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine, insert, select

from experiments.tables import GATE, GOLDEN_RUN


class GoldenRun(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a golden set brought."""

    experiment: str
    epoch: int
    number: int
    """1 for the first of its epoch: each later one has a smaller part of alpha."""
    at: float
    """Wall-clock time in seconds since the epoch (UTC) at which it ended."""
    actor: str
    """`gate`, `schedule`, or who asked for it."""
    result: str
    """passed, failed or cannot_tell."""
    summary: str
    """In plain words."""
    verdict: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    """Each item's id and how both variants did; no prompt and no answer."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment waits for, before its first user."""

    experiment: str
    epoch: int
    at: float
    waits_for: list[str]


class GuardStore:
    """The tables `golden_run` and `gate`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<GuardStore {self._engine.url.render_as_string(hide_password=True)}>"

    def runs(self, experiment: str, epoch: int) -> list[GoldenRun]:
        """Return the runs of an epoch, in order."""
        columns = GOLDEN_RUN.c
        query = select(GOLDEN_RUN).where(columns.experiment == experiment, columns.epoch == epoch)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.number)).mappings().all()
        return [GoldenRun(**{name: row[name] for name in GoldenRun.__struct_fields__}) for row in rows]

    def add_run(self, run: GoldenRun) -> None:
        """Store a run.

        Raises:
            sqlalchemy.exc.IntegrityError: There is one of this number: somebody else was quicker.
        """
        with self._engine.begin() as connection:
            connection.execute(insert(GOLDEN_RUN), [msgspec.structs.asdict(run)])

    def gates(self) -> dict[str, Gate]:
        """Return experiment -> what it waits for."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(GATE)).mappings().all()
        return {row["experiment"]: Gate(**row) for row in rows}

    def put_gate(self, experiment: str, epoch: int, at: float, waits_for: Sequence[str]) -> None:
        """Say what an experiment waits for; nothing takes the row away."""
        row = Gate(experiment=experiment, epoch=epoch, at=at, waits_for=list(waits_for))
        with self._engine.begin() as connection:
            connection.execute(GATE.delete().where(GATE.c.experiment == experiment))
            if waits_for:
                connection.execute(insert(GATE), [msgspec.structs.asdict(row)])
