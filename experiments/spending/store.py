"""Exchanges -> what they used, added up by day (UTC), variant, endpoint and whether they were repeated; table `spend`.

Each exchange is added once: the mark of how far they have been read moves in the transaction that adds them. What is
added up stays when exchanges are dropped or forgotten: it names nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Integer, Select, and_, case, cast, func, or_, select, update

from experiments.loading import wait_for_loads
from experiments.model import BACKEND_FAULTS
from experiments.spending.tables import SPEND, SPEND_MARK
from experiments.statements import upserting
from experiments.tables import EXCHANGE

_KEYS = ("experiment", "epoch", "day", "variant", "role", "backend", "endpoint", "cached")
_SUMS = ("exchanges", "failed", "counted", "input_tokens", "output_tokens", "timed", "busy_ms")
_BATCH = 200_000
"""Exchanges in one transaction."""
_DAY_S = 86_400


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of one day that are alike used."""

    experiment: str
    """Empty for warm-up and for what no experiment matched."""
    epoch: int
    day: str
    """`2026-03-01`, UTC."""
    variant: str
    """Who answered: `control` or `treatment`; empty outside of experiments."""
    role: str
    """`live`, `shadow` (mirrored) or `warmup`."""
    backend: str
    endpoint: str
    """Base URL; empty for repeated answers."""
    cached: bool
    """Whether they were repeated from the cache: what they name was used once before, and not again."""
    exchanges: int
    failed: int
    """Of which the backend failed."""
    counted: int
    """Of which the tokens are known."""
    input_tokens: int
    output_tokens: int
    timed: int
    """Of which it is known how long they kept their machine busy."""
    busy_ms: float
    """From dispatch to the last byte, of those together."""


class SpendStore:
    """The tables `spend` and `spend_mark`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<SpendStore {self._engine.url.render_as_string(hide_password=True)}>"

    def fold(self, batch: int = _BATCH) -> int:
        """Add up what is new, in steps; returns how many exchanges that was.

        Args:
            batch: Exchanges in one transaction.
        """
        with self._engine.begin() as connection:
            # Below the mark nothing is added any more, however many hosts load.
            wait_for_loads(connection)
            upto: int = connection.execute(select(func.coalesce(func.max(EXCHANGE.c.seq), 0))).scalar_one()
        total = 0
        while found := self._fold_once(upto, batch):
            total += found
        return total

    def _fold_once(self, upto: int, batch: int) -> int:
        e = EXCHANGE.c
        with self._engine.connect() as connection:
            seen: int = connection.execute(select(SPEND_MARK.c.exchange_seq)).scalar_one()
            new = select(e.seq).where(e.seq > seen, e.seq <= upto).order_by(e.seq).limit(batch).subquery()
            newest: int | None = connection.execute(select(func.max(new.c.seq))).scalar_one()
            if newest is None:
                return 0
            rows = connection.execute(_added_up(seen, newest, self._engine.dialect.name)).mappings().all()
        added = [dict(row) | {"day": _day(row["day"])} for row in rows]
        with self._engine.begin() as connection:
            moved = update(SPEND_MARK).where(SPEND_MARK.c.exchange_seq == seen).values(exchange_seq=newest)
            # Another process may have added the same ones meanwhile: then ours are not added.
            if connection.execute(moved).rowcount:
                self._add(connection, added)
        return sum(row["exchanges"] for row in added)

    def _add(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        statement = upserting(connection, SPEND)
        sums = {name: SPEND.c[name] + statement.excluded[name] for name in _SUMS}
        connection.execute(statement.on_conflict_do_update(index_elements=list(_KEYS), set_=sums), list(rows))

    def read(self, experiment: str, epoch: int) -> list[Spend]:
        """Return all days of an epoch, in order.

        Args:
            experiment: Its name.
            epoch: Its number.
        """
        columns = SPEND.c
        query = select(SPEND).where(columns.experiment == experiment, columns.epoch == epoch)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(*(columns[key] for key in _KEYS))).mappings().all()
        return [Spend(**row) for row in rows]


def _added_up(seen: int, newest: int, dialect: str) -> Select[Any]:
    e = EXCHANGE.c
    day = (e.at / _DAY_S) if dialect == "sqlite" else func.floor(e.at / _DAY_S)  # SQLite's cast cuts, others' rounds
    keys = [e.experiment, e.epoch, cast(day, Integer).label("day"), e.served.label("variant"), e.role, e.backend]
    keys += [e.endpoint, e.cached]
    failed = e.error.in_(sorted(BACKEND_FAULTS))
    # As in `experiments.scoring.operational`: tokens counted in a text that was cut off are not known.
    known = and_(e.input_tokens.is_not(None), e.output_tokens.is_not(None))
    counted = and_(known, or_(e.tokens_estimated.is_(False), e.truncated.is_(False)))
    timed = and_(e.latency_ms.is_not(None), ~failed)
    sums = {
        "exchanges": func.count(),
        "failed": _sum(failed, 1),
        "counted": _sum(counted, 1),
        "input_tokens": _sum(counted, e.input_tokens),
        "output_tokens": _sum(counted, e.output_tokens),
        "timed": _sum(timed, 1),
        "busy_ms": _sum(timed, e.latency_ms),
    }
    query = select(*keys, *(summed.label(name) for name, summed in sums.items()))
    # By name: written out a second time, PostgreSQL would not know the expressions again.
    return query.where(e.seq > seen, e.seq <= newest).group_by(*(key.name for key in keys))


def _sum(holds: ColumnElement[bool], value: Any) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((holds, value), else_=0)), 0)


def _day(number: int) -> str:
    return datetime.fromtimestamp(number * _DAY_S, UTC).date().isoformat()
