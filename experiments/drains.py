"""Draining and lifting in the store, and what is left of both: an event, also when the drain itself is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
from sqlalchemy import Connection, Engine, insert, select

from experiments.model import Drain
from experiments.statements import upserting
from experiments.tables import DRAIN, DRAIN_EVENT

Action = Literal["drained", "lifted"]


class DrainEvent(msgspec.Struct, frozen=True, kw_only=True):
    """That a backend, or one endpoint of it, was drained, or had that lifted."""

    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    backend: str
    endpoint: str = ""
    """Base URL; empty for all endpoints."""
    action: Action
    actor: str
    reason: str = ""


class DrainStore:
    """The tables `drain` and `drain_event`. What is being drained now is read by `Store.drains`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<DrainStore {self._engine.url.render_as_string(hide_password=True)}>"

    def put(self, drain: Drain) -> None:
        """Drain a backend or one endpoint of it; asked for again, only who, when and why change."""
        event = DrainEvent(
            at=drain.since,
            backend=drain.backend,
            endpoint=drain.endpoint,
            action="drained",
            actor=drain.actor,
            reason=drain.reason,
        )
        with self._engine.begin() as connection:
            self._put(connection, drain)
            connection.execute(insert(DRAIN_EVENT), [msgspec.structs.asdict(event)])

    def _put(self, connection: Connection, drain: Drain) -> None:
        statement = upserting(connection, DRAIN)
        new = {name: statement.excluded[name] for name in ("since", "actor", "reason")}
        values = msgspec.structs.asdict(drain)
        connection.execute(statement.on_conflict_do_update(index_elements=["backend", "endpoint"], set_=new), [values])

    def lift(self, backend: str, endpoint: str = "", *, at: float, actor: str, reason: str = "") -> bool:
        """Lift one drain; returns whether there was one.

        Args:
            backend: Its name.
            endpoint: Base URL; empty for the drain of all endpoints.
            at: Wall-clock time in seconds since the epoch (UTC).
            actor: Who asks.
            reason: Why, in a person's words.
        """
        event = DrainEvent(at=at, backend=backend, endpoint=endpoint, action="lifted", actor=actor, reason=reason)
        with self._engine.begin() as connection:
            chosen = DRAIN.delete().where(DRAIN.c.backend == backend, DRAIN.c.endpoint == endpoint)
            if not connection.execute(chosen).rowcount:
                return False
            connection.execute(insert(DRAIN_EVENT), [msgspec.structs.asdict(event)])
        return True

    def events(self) -> Iterator[DrainEvent]:
        """Yield everything that was drained or lifted, in order."""
        columns = [DRAIN_EVENT.c[name] for name in DrainEvent.__struct_fields__]
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(DRAIN_EVENT.c.seq)).mappings().all()
        for row in rows:
            yield msgspec.convert(dict(row), DrainEvent)
