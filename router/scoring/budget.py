"""Which metrics may ask now: the calls of a day (UTC), and backends that asked to be left alone. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.scorers import AskingScorer
from experiments.scoring.score_tasks import Metric, Spend, day_of

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Budget:
    """Keeps count. For one loop, and the thread that it waits for.

    Args:
        scorers: Metric -> its scorer, whose `asking` has the limits.
    """

    def __init__(self, scorers: Mapping[Metric, AskingScorer]) -> None:
        self._scorers = scorers
        self._spent: dict[Metric, int] = {}
        self._on_their_way: dict[Metric, int] = {}
        self._reserved: dict[Metric, int] = {}
        """What was on its way when the store was read, and what was taken since."""
        self._used_up: set[Metric] = set()
        self._paused_until: dict[str, float] = {}
        self._busy_in_a_row: dict[str, int] = {}
        self._told_of = ""
        """The day for which `_spent` was read."""

    def __repr__(self) -> str:
        return f"<Budget of {len(self._scorers)} metrics on {self._told_of or 'no day yet'}>"

    def reserve(self) -> None:
        """Note what is on its way; to be called before what is given to `set_spent` is read."""
        self._reserved = dict(self._on_their_way)

    def set_spent(self, spent: Mapping[Metric, Spend], now: float) -> None:
        """Take over what the store says was used today."""
        if self._told_of != day_of(now):
            self._used_up.clear()
        self._told_of = day_of(now)
        self._spent = {metric: used.calls for metric, used in spent.items()}

    def closed(self, now: float) -> list[Metric]:
        """Return the metrics that may not ask now: their day's calls are used, or their backend is left alone."""
        return [
            metric
            for metric, scorer in self._scorers.items()
            if self._paused_until.get(scorer.asking.backend, 0.0) > now or metric in self._used_up
        ]

    def take(self, metric: Metric, calls: int) -> bool:
        """Take so many calls from a metric's day, if it has them.

        A pair that needs more calls than a whole day has is asked as the first of a day, or it would wait for ever.
        """
        spent, reserved = self._spent.get(metric, 0), self._reserved.get(metric, 0)
        most = self._scorers[metric].asking.max_calls_per_day
        if calls == 0 or spent + reserved + calls <= most or spent + reserved == 0:
            self._reserved[metric] = reserved + calls
            return True
        if spent + calls > most:
            # Nothing that is on its way will change it: its pairs must not stand in the way of other metrics.
            self._used_up.add(metric)
        return False

    def begin(self, metric: Metric, calls: int) -> None:
        """Note calls that are about to be made."""
        self._on_their_way[metric] = self._on_their_way.get(metric, 0) + calls

    def end(self, metric: Metric, calls: int) -> None:
        """Note that they are made, and stored."""
        self._on_their_way[metric] -= calls

    def pause(self, backend: str, now: float, asked_s: float | None) -> float:
        """Leave a backend alone, each time in a row for twice as long; returns for how many seconds.

        Args:
            backend: Its name.
            now: Wall-clock time in seconds since the epoch (UTC).
            asked_s: For how long it asked; goes before.
        """
        if self._paused_until.get(backend, 0.0) > now:
            # Others that were on their way have met the same: it counts once.
            self._paused_until[backend] = max(self._paused_until[backend], now + (asked_s or 0.0))
            return self._paused_until[backend] - now
        times = self._busy_in_a_row.get(backend, 0)
        self._busy_in_a_row[backend] = times + 1
        seconds = min(_FIRST_PAUSE_S * 2 ** min(times, 10), _LONGEST_PAUSE_S) if asked_s is None else asked_s
        self._paused_until[backend] = now + seconds
        return seconds

    def answered(self, backend: str) -> None:
        """Note that a backend answers again."""
        self._busy_in_a_row.pop(backend, None)
