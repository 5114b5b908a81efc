"""What waits for a person: the critical stories that nobody has acknowledged, and taking one on."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from experiments.config.notifications import Notifications
from experiments.config.records import Config
from experiments.store import Store
from experiments.tables import ACKNOWLEDGEMENT, EVENT
from experiments.telling.escalation import Acknowledgement, EscalationPolicy, Incident, open_incidents
from experiments.telling.incident_log import IncidentLog
from experiments.telling.quiet_hours import quiet_hours


class UnknownIncidentError(Exception):
    """There is nothing under a key that could be acknowledged; the message says so."""


class IncidentView(msgspec.Struct, frozen=True, kw_only=True):
    """An open incident, for people and programs."""

    key: str
    """What is acknowledged."""
    severity: str
    since: str
    """UTC, ISO 8601."""
    experiment: str
    title: str
    text: str
    times: int
    """How often it has happened."""


def incident_log(store: Store) -> IncidentLog:
    """Return the log of events and acknowledgements in a store."""
    return IncidentLog(store.engine, EVENT, ACKNOWLEDGEMENT)


def policy_of(config: Config) -> EscalationPolicy:
    """Return how often people are told, as it is configured."""
    settings = config.router.notifications or Notifications()
    quiet = settings.quiet
    return EscalationPolicy(
        renotify_s=60 * settings.renotify_minutes,
        dedupe_s=60 * settings.dedupe_minutes,
        quiet=quiet_hours(quiet.start, quiet.end, quiet.zone) if quiet is not None else None,
    )


def open_now(store: Store, config: Config, now: float) -> list[IncidentView]:
    """Return what nobody has acknowledged yet, the oldest first.

    Args:
        store: Migrated.
        config: How often people are told.
        now: Wall-clock time in seconds since the epoch (UTC).
    """
    return [_view(one) for one in open_incidents(*incident_log(store).known(now), policy_of(config))]


def acknowledge(store: Store, key: str, *, actor: str, reason: str, now: float) -> Acknowledgement:
    """Take a story on: it is not told again, unless it happens again.

    Args:
        store: Migrated.
        key: Of an event of any severity; what is not critical is then left out of the summary after the quiet hours.
        actor: Who does.
        reason: What he says to it.
        now: Wall-clock time in seconds since the epoch (UTC).

    Raises:
        UnknownIncidentError: Nothing has happened under this key, or too long ago to matter.
    """
    log = incident_log(store)
    if key not in {event.key for event in log.known(now).events}:
        raise UnknownIncidentError(f"nothing has happened under the key {key!r}, or too long ago to matter")
    acknowledgement = Acknowledgement(key=key, at=now, actor=actor, reason=reason)
    log.acknowledge(acknowledgement)
    return acknowledgement


def _view(incident: Incident) -> IncidentView:
    first = incident.first
    return IncidentView(
        key=first.key,
        severity=first.severity.value,
        since=datetime.fromtimestamp(first.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        experiment=first.experiment,
        title=first.title,
        text=first.text,
        times=incident.count,
    )
