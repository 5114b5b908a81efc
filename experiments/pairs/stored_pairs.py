"""Whole pairs out of the store, by their ids: for scoring them once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Engine, literal_column, select

from experiments.rows import stored_exchange
from experiments.statements import batches
from experiments.stored import StoredExchange
from experiments.tables import EXCHANGE


class StoredPair(NamedTuple):
    """The two exchanges of a pair."""

    live: StoredExchange
    shadow: StoredExchange | None
    """None if it has not been stored, or there never was one."""

    @property
    def is_erased(self) -> bool:
        """Whether a text is there no more, so that nothing can be said of it anew."""
        sides = (self.live, self.shadow)
        return any(side is not None and side.erased_at is not None for side in sides)


def stored_pairs(engine: Engine, pairs: Iterable[str]) -> dict[str, StoredPair]:
    """Return pair -> its exchanges; ids that are not stored are left out."""
    keys = sorted(set(pairs))
    lives: dict[str, StoredExchange] = {}
    shadows: dict[str, StoredExchange] = {}
    is_shadow: ColumnElement[bool] = literal_column(
        "role = 'shadow'"
    )  # no bound value: SQLite's partial index must be seen to serve
    with engine.connect() as connection:
        for some in batches(keys):
            for row in connection.execute(select(EXCHANGE).where(EXCHANGE.c.id.in_(some))).mappings():
                lives[row["id"]] = stored_exchange(row)
            for row in connection.execute(select(EXCHANGE).where(EXCHANGE.c.pair.in_(some), is_shadow)).mappings():
                shadows[row["pair"]] = stored_exchange(row)
    return {key: StoredPair(live, shadows.get(key)) for key, live in lives.items()}
