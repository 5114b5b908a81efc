"""The records of whom to tell what happens: `[router.notifications]`, with what is below it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from experiments.config.record import Positive, Record


class Channel(Record):
    """`[router.notifications.channels.NAME]`: one way to reach people."""

    url: str
    """Address of a service as the library apprise writes it, or of a webhook. Most carry a token, so `"env:NAME"` or
    `"file:PATH"`, never the address itself."""
    secret: str | None = None
    """Makes it our own webhook, and is what its JSON is signed with; `"env:NAME"` or `"file:PATH"`."""
    least: Literal["info", "warning", "critical"] = "info"
    """What is less severe is not sent."""


class Quiet(Record):
    """`[router.notifications.quiet]`: hours in which only what is critical is told; the rest follows in one summary."""

    start: str
    """Local time, `HH:MM`."""
    end: str
    """Local time, `HH:MM`; the next day's if it is the earlier one."""
    zone: str
    """Name of a time zone, for example `Asia/Kolkata`."""


class Notifications(Record):
    """`[router.notifications]`: whom to tell what happens."""

    renotify_minutes: Positive = 30.0
    """A critical event is told again after so long, until it is acknowledged."""
    dedupe_minutes: Positive = 60.0
    """Of the same story, what is not critical is told once in so long."""
    quiet: Quiet | None = None
    """`[router.notifications.quiet]`: hours in which only critical events are told."""
    channels: dict[str, Channel] = Field(default={})
    """`[router.notifications.channels.NAME]`: the ways to reach people."""
