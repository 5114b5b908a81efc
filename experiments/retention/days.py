"""The days that lie in ids. Pure: an exchange's id is a UUID of version 7, which begins with its time and sorts by it.

So a day's exchanges are a range of ids, and a table can be cut by days and have unique ids all the same. An outcome is
of a pair, whose name is its live exchange's id: the same ranges hold both.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

Width = Literal["day", "month"]
MOST_DAYS = 100
"""Of so many days each has a partition of its own; a query that reads all of thousands is planned slowly."""
_DIGITS = 12
"""Of a UUID of version 7, the first twelve are its time in milliseconds since the epoch, in hexadecimal."""


class Span(NamedTuple):
    """A stretch of time, in seconds since the epoch (UTC): from `start`, before `end`."""

    start: float
    end: float

    @property
    def name(self) -> str:
        """What the span's partitions are called, after their table: the day that it begins on."""
        return f"{datetime.fromtimestamp(self.start, UTC):%Y%m%d}"


def first_id(at: float) -> str:
    """Return what no id made at a time or later sorts before, and every earlier one does.

    Args:
        at: Seconds since the epoch.

    >>> first_id(1_688_774_462.102)
    '018932cd-4a96'
    """
    digits = f"{round(at * 1_000):0{_DIGITS}x}"
    return f"{digits[:8]}-{digits[8:]}"


def time_of(bound: str) -> float:
    """Return the time of a bound, in seconds since the epoch.

    >>> time_of("018932cd-4a96")
    1688774462.102
    """
    return int(bound.replace("-", "")[:_DIGITS], 16) / 1_000


def width_for(keep_days: float | None) -> Width:
    """Return how long a partition is to be: of what is kept for long, or for ever, months are enough.

    >>> width_for(30), width_for(365), width_for(None)
    ('day', 'month', 'month')
    """
    return "day" if keep_days is not None and keep_days <= MOST_DAYS else "month"


def day_of(at: float) -> float:
    """Return when the day (UTC) of a time began, in seconds since the epoch.

    >>> day_of(86_400 * 3 + 5)
    259200.0
    """
    return _midnight(datetime.fromtimestamp(at, UTC)).timestamp()


def coming(covered_until: float, now: float, width: Width, ahead_days: int) -> Iterator[Span]:
    """Yield the spans that are missing for what is to come, one after the other.

    Time that has passed already is one span, however long: no exchange of it is to come, but for a few late ones.

    Args:
        covered_until: End of the last span that there is, in seconds since the epoch.
        now: Likewise.
        width: Of each span.
        ahead_days: How far ahead of now they are to reach.

    >>> [span.name for span in coming(86_400 * 10, 86_400 * 10.5, "day", 2)]
    ['19700111', '19700112', '19700113']
    >>> [span.name for span in coming(86_400 * 10, 86_400 * 40, "month", 2)]
    ['19700111', '19700210']
    """
    start = covered_until
    today = day_of(now)
    if start < today:
        yield Span(start, today)
        start = today
    while start <= now + ahead_days * timedelta(days=1).total_seconds():
        end = _next(start, width)
        yield Span(start, end)
        start = end


def _next(start: float, width: Width) -> float:
    day = _midnight(datetime.fromtimestamp(start, UTC))
    if width == "day":
        return (day + timedelta(days=1)).timestamp()
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
