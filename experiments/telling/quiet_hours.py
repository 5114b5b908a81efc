"""Quiet hours: a stretch of every local day in which nobody is disturbed without need. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec


class QuietHours(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` to `end` of local time, over midnight if `end` is the earlier one.

    The stretches are laid out on the time line, not read off a clock on the wall: where an hour comes twice a year, it
    is quiet once; where an hour is left out, a start or end in it moves on by that hour.
    """

    start: time
    end: time
    zone: ZoneInfo

    def __post_init__(self) -> None:
        """Refuse what is no stretch.

        Raises:
            ValueError: `start` and `end` are the same.
        """
        if self.start == self.end:
            raise ValueError(f"quiet hours start and end at {self.start}; they must differ")

    def until(self, at: float) -> float | None:
        """Return when the quiet stretch around a moment ends.

        Args:
            at: In seconds since the epoch (UTC).

        Returns:
            In seconds since the epoch, later than `at`; None if the moment is not quiet.

        >>> quiet = QuietHours(start=time(22), end=time(7), zone=ZoneInfo("Asia/Kolkata"))
        >>> night = datetime(2026, 1, 5, 23, 0, tzinfo=quiet.zone).timestamp()
        >>> (quiet.until(night) - night) / 3600, quiet.until(night + 8 * 3600)
        (8.0, None)
        """
        end = self._end_of_stretch(at)
        found = end
        # A stretch that ends late, in a left-out hour, may run into the next one.
        while end is not None:
            found, end = end, self._end_of_stretch(end)
        return found

    def _end_of_stretch(self, at: float) -> float | None:
        today = datetime.fromtimestamp(at, UTC).astimezone(self.zone).date()
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            start, end = self._stretch(day)
            if start <= at < end:
                return end
        return None

    def _stretch(self, day: date) -> tuple[float, float]:
        last = day if self.start < self.end else day + timedelta(days=1)
        moments = (datetime.combine(*part, tzinfo=self.zone) for part in ((day, self.start), (last, self.end)))
        start, end = (moment.timestamp() for moment in moments)
        return start, end


def quiet_hours(start: str, end: str, zone: str) -> QuietHours:
    """Build quiet hours from texts.

    Args:
        start: Local time, `HH:MM`.
        end: Local time, `HH:MM`.
        zone: Name of a time zone, for example `Asia/Kolkata`.

    Raises:
        ValueError: A time is no time, both are the same, or the zone is unknown.
    """
    try:
        known = ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {zone!r}") from error
    return QuietHours(start=_time("start", start), end=_time("end", end), zone=known)


def _time(name: str, value: str) -> time:
    try:
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007  # a time of day, in the zone that is given
    except ValueError:
        raise ValueError(f"{name} == {value!r}, must be a time of day, HH:MM") from None
