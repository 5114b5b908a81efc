"""Old exchanges of epochs that are over leave the store, with their outcomes, feedback and labels.

Whole partitions where nothing else is in them; row by row, in batches, where something is, and on SQLite. What belongs
together goes in one transaction, so that no outcome is ever without its exchange.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, Engine, column, delete, func, select, table, tuple_

from experiments.retention.dropped import EpochKey, needed, note
from experiments.retention.partitions import Partition, drop, hurry
from experiments.statements import batches
from experiments.tables import EXCHANGE, FEEDBACK, LABEL, OUTCOME, SCORE_TASK

_OF_AN_EXCHANGE: tuple[ColumnElement[str], ...] = (FEEDBACK.c.exchange, LABEL.c.pair, SCORE_TASK.c.pair)
"""What names an exchange, in tables without partitions."""


def drop_partition(engine: Engine, partition: Partition, now: float, keep_days: float) -> int | None:
    """Drop a partition, unless something in it is needed.

    Args:
        engine: Of a migrated store on PostgreSQL.
        partition: Of days that are over.
        now: Wall-clock time in seconds since the epoch (UTC).
        keep_days: What the configuration says; kept with what is dropped.

    Returns:
        How many exchanges were in it; None if it stays.

    Raises:
        sqlalchemy.exc.OperationalError: Somebody was in the way; to be tried later.
    """
    inside = table(f"exchange_{partition.name}", column("experiment"), column("epoch"))
    epoch = (inside.c.experiment, inside.c.epoch)
    with engine.begin() as connection:
        hurry(connection)
        # Nobody writes days that are over; should somebody all the same, it is not between counting and dropping.
        connection.exec_driver_sql(f"LOCK TABLE {inside.name} IN SHARE MODE")
        # Asked one by one, by the index: counting reads the whole partition.
        for key in needed(connection):
            there = select(*epoch).where(inside.c.experiment == key.experiment, inside.c.epoch == key.epoch)
            if connection.execute(there.limit(1)).first() is not None:
                return None
        rows = connection.execute(select(*epoch, func.count()).group_by(*epoch))
        counts = {EpochKey(name, number): int(count) for name, number, count in rows}
        for named in _OF_AN_EXCHANGE:
            connection.execute(delete(named.table).where(named >= partition.start, named < partition.end))
        note(connection, counts, now, keep_days)
        drop(connection, partition)
    return sum(counts.values())


def drop_rows(engine: Engine, before: float, limit: int, now: float, keep_days: float) -> int:
    """Drop one batch of exchanges, in one transaction.

    Args:
        engine: Of a migrated store.
        before: Those that were asked before, in seconds since the epoch (UTC).
        limit: At most so many.
        now: Likewise in seconds.
        keep_days: What the configuration says; kept with what is dropped.

    Returns:
        How many were dropped.
    """
    counts: Counter[EpochKey] = Counter()
    with engine.begin() as connection:
        still_needed = needed(connection)
        for key in _stored_epochs(connection):
            if key in still_needed or counts.total() >= limit:
                continue
            ids = _oldest(connection, key, before, limit - counts.total())
            _delete(connection, ids)
            counts[key] = len(ids)
        note(connection, counts, now, keep_days)
    return counts.total()


def _stored_epochs(connection: Connection) -> Iterator[EpochKey]:
    """Yield the epochs that have exchanges: the index is asked for each next one, not read through."""
    columns = EXCHANGE.c
    epoch = tuple_(columns.experiment, columns.epoch)
    query = select(columns.experiment, columns.epoch).order_by(columns.experiment, columns.epoch).limit(1)
    row = connection.execute(query).first()
    while row is not None:
        yield EpochKey(*row)
        row = connection.execute(query.where(epoch > tuple_(row.experiment, row.epoch))).first()


def _oldest(connection: Connection, key: EpochKey, before: float, limit: int) -> list[str]:
    """Return the ids of an epoch's first exchanges, as far as they are old: later ones are hardly ever older."""
    columns = EXCHANGE.c
    query = select(columns.id, columns.at).where(columns.experiment == key.experiment, columns.epoch == key.epoch)
    return [row.id for row in connection.execute(query.order_by(columns.seq).limit(limit)) if row.at < before]


def _delete(connection: Connection, ids: Sequence[str]) -> None:
    for some in batches(ids):
        for named in (OUTCOME.c.pair, *_OF_AN_EXCHANGE, EXCHANGE.c.id):
            connection.execute(delete(named.table).where(named.in_(some)))
