"""What to tell people, and when. Pure: what happened, what was acknowledged and the time in, notifications out.

Nothing is remembered between two calls. Each notification has an id that is made of what it tells, so whoever keeps the
ids that he has seen (`experiments.telling.outbox`) sends each one once, also after a kill at any point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from experiments.telling.quiet_hours import QuietHours

FORGET_S = 7 * 86_400.0
"""What is not critical and has been due for so long is no news any more; the outbox keeps its ids for longer."""
_LISTED = 20
"""Lines of a summary; more are counted."""


class Severity(StrEnum):
    """How much something matters, the least first."""

    INFO = "info"
    """Good to know: a stage is over, a promotion."""
    WARNING = "warning"
    """Look at it today: an experiment is held up, or ended without an answer."""
    CRITICAL = "critical"
    """Look at it now: users were harmed, or nobody watches over them."""

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Severity).index(self)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    key: str
    """What it is about: events of one key and severity tell the same story. It is what gets acknowledged."""
    severity: Severity
    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    experiment: str = ""
    title: str
    """One line."""
    text: str = ""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has taken it on."""

    key: str
    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    actor: str
    reason: str = ""
    """What he said to it."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to people."""

    id: str
    severity: Severity
    due_at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    title: str
    text: str
    keys: tuple[str, ...]
    """What may be acknowledged."""
    repeat: int = 0
    """How often it has been due before without an acknowledgement."""


class EscalationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often people are told."""

    renotify_s: float = 1800.0
    """A critical event is told again after so long, until it is acknowledged."""
    dedupe_s: float = 3600.0
    """Of the same key, what is not critical is told once in so long."""
    quiet: QuietHours | None = None
    """Hours in which only critical events are told; the others follow in one summary."""

    def __post_init__(self) -> None:
        """Refuse what would tell without end.

        Raises:
            ValueError: A time is not above 0.
        """
        for name in ("renotify_s", "dedupe_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} == {getattr(self, name)}, must be > 0")


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one key and severity that are told together."""

    first: Event
    count: int = 1
    acknowledged_at: float | None = None

    @property
    def id(self) -> str:
        """Made of the first event alone, so that it stays when more follow."""
        return f"{self.first.severity}:{self.first.key}:{self.first.at!r}"


def due(
    events: Iterable[Event], acknowledgements: Iterable[Acknowledgement], now: float, policy: EscalationPolicy
) -> list[Notification]:
    """Return all notifications that are due, whether or not they have been sent: the outbox knows that by their ids.

    Args:
        events: All that still matter: each critical one that nobody has acknowledged, and everything younger than
            twice `FORGET_S`; in any order.
        acknowledgements: Of those events; in any order.
        now: Wall-clock time in seconds since the epoch (UTC).
        policy: How often people are told.

    Returns:
        In the order in which they became due. Of a critical event, only the newest repetition: after an outage nobody
        wants those that were missed.
    """
    known = list(acknowledgements)
    found = incidents(events, known, policy)
    told: list[Notification] = []
    held: dict[float, list[Incident]] = {}
    for incident in found:
        if incident.first.severity is Severity.CRITICAL:
            told += _critical(incident, now, policy)
            continue
        until = policy.quiet.until(incident.first.at) if policy.quiet else None
        if until is not None:
            held.setdefault(until, []).append(incident)
        elif now - FORGET_S < incident.first.at <= now:
            told.append(_once(incident))
    for until, waiting in held.items():
        if now - FORGET_S < until <= now:
            told += _summary(until, waiting)
    return sorted(told, key=lambda item: (item.due_at, item.id))


def incidents(
    events: Iterable[Event], acknowledgements: Sequence[Acknowledgement], policy: EscalationPolicy
) -> list[Incident]:
    """Group events: a critical story lasts until it is acknowledged, any other for `dedupe_s` from its first event."""
    acknowledged: dict[str, list[float]] = {}
    for item in sorted(acknowledgements, key=lambda item: item.at):
        acknowledged.setdefault(item.key, []).append(item.at)
    found: list[Incident] = []
    running: dict[tuple[str, Severity], int] = {}
    for event in sorted(events, key=lambda event: (event.at, event.key, event.severity.rank, event.title, event.text)):
        place = running.get((event.key, event.severity))
        if place is not None and _goes_on(found[place], event, policy):
            found[place] = msgspec.structs.replace(found[place], count=found[place].count + 1)
        else:
            running[event.key, event.severity] = len(found)
            taken_on = next((at for at in acknowledged.get(event.key, ()) if at >= event.at), None)
            found.append(Incident(first=event, acknowledged_at=taken_on))
    return found


def open_incidents(
    events: Iterable[Event], acknowledgements: Sequence[Acknowledgement], policy: EscalationPolicy
) -> list[Incident]:
    """Return the critical stories that nobody has acknowledged, the oldest first: what a person is to look at."""
    found = incidents(events, acknowledgements, policy)
    return [one for one in found if one.first.severity is Severity.CRITICAL and one.acknowledged_at is None]


def _goes_on(incident: Incident, event: Event, policy: EscalationPolicy) -> bool:
    if incident.first.severity is Severity.CRITICAL:
        return incident.acknowledged_at is None or event.at <= incident.acknowledged_at
    return event.at < incident.first.at + policy.dedupe_s


def _critical(incident: Incident, now: float, policy: EscalationPolicy) -> list[Notification]:
    # An acknowledgement counts whatever its time: clocks of two machines differ.
    if incident.acknowledged_at is not None:
        return []
    first = incident.first
    # An event of the future comes of a clock that was set back; harm to users does not wait for it.
    repeat = max(0, int((now - first.at) // policy.renotify_s))
    told = _once(incident)
    if not repeat:
        return [told]
    hours = repeat * policy.renotify_s / 3600
    return [
        msgspec.structs.replace(
            told,
            id=f"{incident.id}:{repeat}",
            due_at=first.at + repeat * policy.renotify_s,
            text=f"{told.text}\nNobody has acknowledged this for {hours:.3g} h.".lstrip(),
            repeat=repeat,
        )
    ]


def _once(incident: Incident) -> Notification:
    first = incident.first
    return Notification(
        id=incident.id,
        severity=first.severity,
        due_at=first.at,
        title=first.title,
        text=first.text,
        keys=(first.key,),
    )


def _summary(until: float, held: Sequence[Incident]) -> list[Notification]:
    """Tell what came in the quiet hours; left out is what was acknowledged before they ended."""
    waiting = [one for one in held if one.acknowledged_at is None or one.acknowledged_at > until]
    if not waiting:
        return []
    lines = [_line(one) for one in waiting[:_LISTED]]
    if len(waiting) > _LISTED:
        lines.append(f"and {len(waiting) - _LISTED} more")
    # Of all members: should one arrive late, there is another summary, and nothing is lost.
    digest = hashlib.sha256("\n".join(sorted(one.id for one in waiting)).encode()).hexdigest()[:16]
    return [
        Notification(
            id=f"summary:{until!r}:{digest}",
            severity=max((one.first.severity for one in waiting), key=lambda severity: severity.rank),
            due_at=until,
            title=f"{len(waiting)} message{'s' if len(waiting) > 1 else ''} from the quiet hours",
            text="\n".join(lines),
            keys=tuple(dict.fromkeys(one.first.key for one in waiting)),
        )
    ]


def _line(incident: Incident) -> str:
    times = f" ({incident.count} times)" if incident.count > 1 else ""
    return f"{incident.first.severity}: {incident.first.title}{times}"


def audience(notification: Notification, channels: Mapping[str, Severity]) -> list[str]:
    """Return the channels that want a notification, by the least severity that each one takes.

    >>> note = Notification(id="1", severity=Severity.WARNING, due_at=0, title="", text="", keys=())
    >>> audience(note, {"chat": Severity.INFO, "pager": Severity.CRITICAL})
    ['chat']
    """
    return [name for name, least in channels.items() if notification.severity.rank >= least.rank]
