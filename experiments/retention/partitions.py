"""The partitions of `exchange` and `outcome` on PostgreSQL: which there are, making coming ones, dropping old ones.

The first partition holds all that was before; a default one holds what no other does (ids that are none of ours, or of
a clock that was wrong), so that nothing is ever refused for want of a partition. Making and dropping change the catalog
only. Either needs a lock that whoever reads the table holds too: it is waited for briefly, and asked for again later,
since all that come after would wait behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from experiments.retention.days import Span, first_id, time_of

KEYS = {"exchange": "id", "outcome": "pair"}
"""Table -> the column that it is partitioned by."""
FIRST, REST = "first", "rest"
"""What the first partition and the default one are called, after their table."""
_LOCK_MS = 800
"""Less than PostgreSQL's second before it looks for deadlocks: it is we who give up."""
_BOUNDS = re.compile(r"FOR VALUES FROM \((MINVALUE|'(?P<start>[^']*)')\) TO \('(?P<end>[^']*)'\)")


class Partition(NamedTuple):
    """One span's rows of both tables."""

    name: str
    """After the table's."""
    start: str
    """The first id that may be in it; empty for all that there are."""
    end: str
    """The first id that is behind it."""

    @property
    def starts_at(self) -> float:
        """Seconds since the epoch; 0 for the first one."""
        return time_of(self.start) if self.start else 0.0

    @property
    def ends_at(self) -> float:
        """Seconds since the epoch."""
        return time_of(self.end)


def is_partitioned(engine: Engine | Connection) -> bool:
    """Whether the store has partitions at all."""
    return engine.dialect.name == "postgresql"


def partitions(connection: Connection) -> list[Partition]:
    """Return the partitions, in order; without the default one."""
    query = text(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
        "WHERE i.inhparent = to_regclass('exchange')"
    )
    found = []
    for name, bounds in connection.execute(query):
        if match := _BOUNDS.fullmatch(bounds):
            found.append(Partition(name.removeprefix("exchange_"), match["start"] or "", match["end"]))
    return sorted(found, key=lambda partition: partition.end)


def add(engine: Engine, spans: Iterable[Span]) -> int:
    """Make partitions, a transaction each; rows that the default ones hold of their span are moved into them.

    Args:
        engine: Of a migrated store on PostgreSQL.
        spans: Each one begins where the last partition ends.

    Returns:
        How many were made.

    Raises:
        sqlalchemy.exc.OperationalError: Somebody was in the way; what is missing is to be made later.
    """
    made = 0
    for span in spans:
        with engine.begin() as connection:
            hurry(connection)
            for table, key in KEYS.items():
                _add(connection, table, key, span)
        made += 1
    return made


def _add(connection: Connection, table: str, key: str, span: Span) -> None:
    name, start, end = f"{table}_{span.name}", first_id(span.start), first_id(span.end)
    # Made beside the table and then attached, which readers and writers of the other partitions do not notice.
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM {table}_{REST} WHERE {key} >= '{start}' AND {key} < '{end}' RETURNING *) "  # noqa: S608
        f"INSERT INTO {name} SELECT * FROM moved"
    )
    attach(connection, table, name, start, end)


def attach(connection: Connection, table: str, name: str, start: str, end: str) -> None:
    """Let a table be a partition.

    Args:
        connection: In a transaction.
        table: Which table's.
        name: Of the new partition.
        start: The first id that may be in it; empty for all that there are.
        end: The first id that may not.
    """
    first = f"'{start}'" if start else "MINVALUE"
    connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ('{end}')")


def hurry(connection: Connection) -> None:
    """Give up on locks soon, in this transaction."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MS}")


def drop(connection: Connection, partition: Partition) -> None:
    """Drop a partition of both tables: the files go, no row is touched.

    Raises:
        sqlalchemy.exc.OperationalError: Somebody was in the way; to be tried later.
    """
    for table in KEYS:
        connection.exec_driver_sql(f"DROP TABLE {table}_{partition.name}")
