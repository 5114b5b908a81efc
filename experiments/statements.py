"""Pieces of SQL that every store needs: inserts that meet what is there already, and long lists of keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

_KEYS_A_QUERY = 500
"""Both databases have a limit of bound values; SQLite's older builds that of 999."""
Key = TypeVar("Key")


def upserting(database: Engine | Connection, table: Table) -> Any:
    """Return an insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`, in the database's dialect."""
    return (sqlite if database.dialect.name == "sqlite" else postgresql).insert(table)


def batches(keys: Sequence[Key], size: int = _KEYS_A_QUERY) -> Iterator[Sequence[Key]]:
    """Yield keys in lists that are short enough for one query.

    >>> list(batches([1, 2, 3], size=2))
    [[1, 2], [3]]
    """
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
