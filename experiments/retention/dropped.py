"""What is known of exchanges that are there no more: of which epoch they were, how many, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from experiments.model import Phase
from experiments.statements import upserting
from experiments.tables import DROPPED, ROUTE

_ENDED = frozenset({Phase.STOPPED, Phase.ROLLED_BACK, Phase.PROMOTED})


class EpochKey(NamedTuple):
    """An epoch of an experiment; exchanges of no experiment have an empty name."""

    experiment: str
    epoch: int


class Dropped(NamedTuple):
    """That exchanges of an epoch were dropped."""

    experiment: str
    epoch: int
    first_at: float
    """When the first ones were, in seconds since the epoch (UTC)."""
    last_at: float
    exchanges: int
    keep_days: float
    """What `keep_exchanges_days` was the last time."""

    def __str__(self) -> str:
        first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (self.first_at, self.last_at))
        when = f"on {first}" if first == last else f"from {first} to {last}"
        return (
            f"epoch {self.epoch} of {self.experiment} cannot be replayed: {self.exchanges:,} of its exchanges were "
            f"dropped {when} by keep_exchanges_days = {self.keep_days:g}; its looks are stored as they were"
        )


class DroppedError(Exception):
    """An epoch cannot be replayed, since exchanges of it were dropped; the message says when and why."""


def dropped(engine: Engine, experiment: str, epoch: int) -> Dropped | None:
    """Return what was dropped of an epoch; None if nothing was."""
    columns = [DROPPED.c[name] for name in Dropped._fields]
    query = select(*columns).where(DROPPED.c.experiment == experiment, DROPPED.c.epoch == epoch)
    with engine.connect() as connection:
        row = connection.execute(query).first()
    return None if row is None else Dropped(*row)


def check_whole(engine: Engine, experiment: str, epoch: int) -> None:
    """Say so if an epoch is not whole any more.

    Raises:
        DroppedError: It is not.
    """
    found = dropped(engine, experiment, epoch)
    if found is not None:
        raise DroppedError(str(found))


def needed(connection: Connection) -> frozenset[EpochKey]:
    """Return the epochs whose exchanges are still read: what a controller folds again when it starts.

    An experiment's newest epoch is one as long as looks are taken: until it has ended and nothing is mirrored any more.
    One that is paused goes on, and so does one that is in no configuration by now but was never stopped.
    """
    columns = ROUTE.c
    query = select(columns.experiment, columns.epoch, columns.phase, columns.mirror_basis_points)
    return frozenset(
        EpochKey(row.experiment, row.epoch)
        for row in connection.execute(query)
        if Phase(row.phase) not in _ENDED or row.mirror_basis_points > 0
    )


def note(connection: Connection, counts: Mapping[EpochKey, int], now: float, keep_days: float) -> None:
    """Keep that exchanges were dropped, in the transaction that does it."""
    rows = [
        {"experiment": key.experiment, "epoch": key.epoch, "first_at": now, "last_at": now}
        | {"exchanges": count, "keep_days": keep_days}
        for key, count in counts.items()
        if count
    ]
    if not rows:
        return
    statement = upserting(connection, DROPPED)
    new = {name: statement.excluded[name] for name in ("last_at", "keep_days")}
    new["exchanges"] = DROPPED.c.exchanges + statement.excluded.exchanges
    connection.execute(statement.on_conflict_do_update(index_elements=["experiment", "epoch"], set_=new), rows)
