"""Events and acknowledgements in the store: what `escalation.due` is asked with. SQLite and PostgreSQL.

The table of events has the columns of `Event` and the key (`key`, `severity`, `at`): told again after a kill, an event
is the same one. The table of acknowledgements has the columns of `Acknowledgement` and the key (`key`, `at`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine, RowMapping, Table, and_, exists, or_, select

from experiments.statements import upserting
from experiments.telling.escalation import FORGET_S, Acknowledgement, Event, Severity


class Known(NamedTuple):
    """Everything that still matters."""

    events: list[Event]
    acknowledgements: list[Acknowledgement]


class IncidentLog:
    """Append-only. Safe to call from several threads.

    Args:
        engine: Of the store.
        events: Table, as above.
        acknowledgements: Table, as above.
    """

    def __init__(self, engine: Engine, events: Table, acknowledgements: Table) -> None:
        self._engine = engine
        self._events = events
        self._acknowledgements = acknowledgements

    def __repr__(self) -> str:
        return f"<IncidentLog {self._engine.url.render_as_string(hide_password=True)}>"

    def record(self, events: Iterable[Event]) -> None:
        """Keep events; those that are known already are not kept twice."""
        rows = [msgspec.to_builtins(event) for event in events]
        self._insert(self._events, rows, ["key", "severity", "at"])

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Keep that somebody has taken a story on."""
        self._insert(self._acknowledgements, [msgspec.to_builtins(acknowledgement)], ["key", "at"])

    def known(self, now: float) -> Known:
        """Return the critical events that nobody has acknowledged, however old, and everything of the last two weeks.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        event, taken = self._events.c, self._acknowledgements.c
        since = now - 2 * FORGET_S
        taken_on = exists().where(taken.key == event.key, taken.at >= event.at)
        query = select(self._events).where(
            or_(event.at > since, and_(event.severity == Severity.CRITICAL.value, ~taken_on))
        )
        with self._engine.connect() as connection:
            events = connection.execute(query.order_by(event.at)).mappings().all()
            answers = connection.execute(select(self._acknowledgements).where(taken.at > since)).mappings().all()
        return Known(
            [_event(row) for row in events],
            [_acknowledgement(row) for row in answers],
        )

    def acknowledgements(self) -> list[Acknowledgement]:
        """Return all of them, the oldest first: for the audit."""
        query = select(self._acknowledgements).order_by(self._acknowledgements.c.at)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [_acknowledgement(row) for row in rows]

    def _insert(self, table: Table, rows: list[dict[str, Any]], key: list[str]) -> None:
        if not rows:
            return
        with self._engine.begin() as connection:
            connection.execute(upserting(connection, table).on_conflict_do_nothing(index_elements=key), rows)


def _event(row: RowMapping) -> Event:
    return msgspec.convert({name: row[name] for name in Event.__struct_fields__}, Event)


def _acknowledgement(row: RowMapping) -> Acknowledgement:
    return Acknowledgement(**{name: row[name] for name in Acknowledgement.__struct_fields__})
