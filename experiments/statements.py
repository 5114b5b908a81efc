"""Pieces of SQL that every store needs: inserts that meet what is there already, and long lists of keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Dialect, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

_KEYS_A_QUERY = 500
"""Both databases have a limit of bound values; SQLite's older builds that of 999."""
_BYTES_A_STATEMENT = 4 * 1024 * 1024
"""Of rows that go in one value, which PostgreSQL takes up to 1 GiB of."""
Key = TypeVar("Key")


def upserting(database: Engine | Connection, table: Table) -> Any:
    """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`, in the database's dialect."""
    return (sqlite if database.dialect.name == "sqlite" else postgresql).insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in their order, all with the same columns; one that is there already stays as it is.

    PostgreSQL gets many rows as one JSON text, which costs client and server half of what a message a row does.

    Args:
        connection: In a transaction.
        table: Where they go.
        rows: Their numbers are finite: JSON has no others.

    Raises:
        sqlalchemy.exc.DataError: A value is none that its column takes.
        UnicodeError: A text has half of a surrogate pair.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(upserting(connection, table).on_conflict_do_nothing(), rows)
        return
    statement = _insert_from_json(table, tuple(rows[0]), connection.dialect)
    for text in _json_arrays(rows, _BYTES_A_STATEMENT):
        connection.exec_driver_sql(statement, (text,))


@lru_cache(maxsize=16)
def _insert_from_json(table: Table, names: tuple[str, ...], dialect: Dialect) -> str:
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(map(quote, names))
    typed = ", ".join(f"{quote(name)} {table.c[name].type.compile(dialect)}" for name in names)
    chosen = f"SELECT {columns} FROM json_to_recordset(%s) AS new ({typed})"
    return f"INSERT INTO {quote(table.name)} ({columns}) {chosen} ON CONFLICT DO NOTHING"


def _json_arrays(rows: Sequence[Mapping[str, Any]], most_bytes: int) -> Iterator[str]:
    """Yield the rows as texts of JSON, each an array and not longer than it may be, unless one row alone is.

    >>> list(_json_arrays([{"a": 1}, {"a": 2}, {"a": 3}], most_bytes=16))
    ['[{"a":1},{"a":2}]', '[{"a":3}]']
    """
    encode, some, length = msgspec.json.encode, [], 0
    for row in rows:
        encoded = encode(row)
        if some and length + len(encoded) > most_bytes:
            yield f"[{b','.join(some).decode()}]"
            some, length = [], 0
        some.append(encoded)
        length += len(encoded)
    yield f"[{b','.join(some).decode()}]"


def batches(keys: Sequence[Key], size: int = _KEYS_A_QUERY) -> Iterator[Sequence[Key]]:
    """Yield keys in lists that are short enough for one query.

    >>> list(batches([1, 2, 3], size=2))
    [[1, 2], [3]]
    """
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
