"""Pieces of SQL that every store needs: inserts that meet what is there already, and long lists of keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import JSON, Connection, Engine, Table, Text, bindparam, cast, column, func, select
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
    SQLite's driver gets them past SQLAlchemy, which looks at each value.

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
    names = tuple(rows[0])
    written = _with_json_as_text(table, names, rows)
    if connection.dialect.name == "sqlite":
        statement, order = _insert_values(table, names)
        connection.exec_driver_sql(statement, [tuple(map(row.__getitem__, order)) for row in written])
        return
    for text in _json_arrays(written, _BYTES_A_STATEMENT):
        connection.execute(_insert_from_json(table, names), {"rows": text})


@lru_cache(maxsize=16)
def _insert_values(table: Table, names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return SQLite's statement, and the names of its values in their order."""
    insert = sqlite.insert(table).on_conflict_do_nothing()
    compiled: Any = insert.compile(dialect=sqlite.dialect(), column_keys=names)
    return str(compiled), tuple(compiled.positiontup)


@lru_cache(maxsize=16)
def _insert_from_json(table: Table, names: tuple[str, ...]) -> Any:
    """Return a statement whose value `rows` is a JSON array of objects."""
    kinds = {name: table.c[name].type for name in names}
    read = [column(name, Text() if isinstance(kind, JSON) else kind) for name, kind in kinds.items()]
    rows = func.json_to_recordset(cast(bindparam("rows", type_=Text()), JSON)).table_valued(*read)
    new = rows.render_derived(name="new", with_types=True)
    chosen = select(*(cast(new.c[name], kind) for name, kind in kinds.items()))
    return postgresql.insert(table).from_select(names, chosen).on_conflict_do_nothing()


def _with_json_as_text(
    table: Table, names: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows with what is JSON itself written as everywhere else: exports of both databases are the same."""
    written = [name for name in names if isinstance(table.c[name].type, JSON)]
    for row in rows:
        yield {**row, **{name: json.dumps(row[name]) for name in written}}


def _json_arrays(rows: Iterable[Mapping[str, Any]], most_bytes: int) -> Iterator[str]:
    """Yield the rows as texts of JSON, each an array and not longer than it may be, unless one row alone is.

    >>> list(_json_arrays([{"a": 1}, {"a": 2}, {"a": 3}], most_bytes=16))
    ['[{"a":1},{"a":2}]', '[{"a":3}]']
    """
    some: list[bytes] = []
    length = 0
    for row in rows:
        encoded = msgspec.json.encode(row)
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
