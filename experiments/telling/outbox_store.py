"""The outbox in the store: what is to be delivered outlives the process. On SQLite and on PostgreSQL.

The table has the key (`id`, `channel`) and the columns `severity_rank`, `made_at`, `next_at`, `attempts`,
`delivered_at`, `given_up_at`, `trouble` and `content`, the notification as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, Table, and_, delete, not_, or_, select, update

from experiments.statements import batches, upserting
from experiments.telling.escalation import Notification
from experiments.telling.outbox import KEEP_S, LONGEST_WAIT_S, Delivery

_STATE = ("attempts", "next_at", "delivered_at", "given_up_at", "trouble")


class StoredOutbox:
    """An outbox in a table. Safe to call from several threads.

    Args:
        engine: Of the store.
        table: Has the columns above.
    """

    def __init__(self, engine: Engine, table: Table) -> None:
        self._engine = engine
        self._table = table

    def __repr__(self) -> str:
        return f"<StoredOutbox {self._engine.url.render_as_string(hide_password=True)}>"

    def put(self, deliveries: Iterable[Delivery]) -> int:
        """Keep those whose notification id and channel are not known yet; returns how many."""
        rows = self._unknown({(row["id"], row["channel"]): row for row in map(_row, deliveries)})
        if not rows:
            return 0
        columns = self._table.c
        insert = upserting(self._engine, self._table).on_conflict_do_nothing(index_elements=["id", "channel"])
        with self._engine.begin() as connection:
            # One by one, and returning: otherwise not every driver says how many were new.
            new = sum(len(connection.execute(insert.values(row).returning(columns.id)).all()) for row in rows)
            self._forget(connection, max(row["made_at"] for row in rows))
        return new

    def _unknown(self, rows: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
        """Look first: what is due is put at each tick, nearly all of it is known, and reading waits for no writer."""
        columns = self._table.c
        ids = sorted({id_ for id_, _ in rows})
        with self._engine.connect() as connection:
            for some in batches(ids):
                chosen = columns.id.in_(some)
                for known in connection.execute(select(columns.id, columns.channel).where(chosen)):
                    rows.pop((known.id, known.channel), None)
        return list(rows.values())

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        """Return open deliveries of a channel for which `is_due` holds: the most severe first, then the oldest."""
        columns = self._table.c
        waits = and_(columns.next_at > now, columns.next_at <= now + LONGEST_WAIT_S)
        query = (
            select(self._table)
            .where(columns.channel == channel, columns.delivered_at.is_(None), columns.given_up_at.is_(None))
            .where(not_(waits))
            .order_by(columns.severity_rank.desc(), columns.made_at, columns.id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_delivery(row) for row in connection.execute(query).mappings()]

    def settle(self, delivery: Delivery) -> None:
        """Replace a delivery by what became of it; no error if it is gone."""
        columns = self._table.c
        chosen = and_(columns.id == delivery.notification.id, columns.channel == delivery.channel)
        with self._engine.begin() as connection:
            connection.execute(
                update(self._table).where(chosen).values({name: getattr(delivery, name) for name in _STATE})
            )

    def _forget(self, connection: Connection, now: float) -> None:
        columns = self._table.c
        is_settled = or_(columns.delivered_at.is_not(None), columns.given_up_at.is_not(None))
        connection.execute(delete(self._table).where(is_settled, columns.made_at < now - KEEP_S))


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.notification.id,
        "channel": delivery.channel,
        "severity_rank": delivery.notification.severity.rank,
        "made_at": delivery.made_at,
        "content": msgspec.to_builtins(delivery.notification),
    } | {name: getattr(delivery, name) for name in _STATE}


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        notification=msgspec.convert(row["content"], Notification),
        channel=row["channel"],
        made_at=row["made_at"],
        **{name: row[name] for name in _STATE},
    )
