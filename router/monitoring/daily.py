"""Computes daily quality every hour and sends it on, with golden runs and decisions as they come.

In a thread of its own: the controller waits for nothing of it. What answers used is added up at each wake, too.

Yesterday is computed again with today: judges and late labels come after midnight, too. After a standstill the days
since the last one that was computed are made up for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Self

import structlog

from experiments.config.records import Config
from experiments.scoring.daily import DailyQuality, DailyStore, days_between
from experiments.scoring.score_tasks import day_of
from experiments.spending.store import SpendStore
from experiments.store import Store
from router.monitoring.report import Report, reports
from router.monitoring.senders import Sender, SendError, senders
from router.monitoring.watch import RunWatch

_log = structlog.get_logger(__name__)
_HOUR_S = 3600.0
_RETRY_S = 300.0
_WAKE_S = 10.0
_END_S = 5.0
_MOST_DAYS = 31
"""That are made up for."""


class DailyMonitor:
    """Keeps `daily_quality` and its targets up to date, for as long as the `with` block lasts.

    Args:
        config: Names the experiments and the targets.
        store: Migrated by the time that this process leads.
        leads: Whether this process leads; another one that does not computes and sends nothing.
        targets: Those of the configuration unless given.
        wake_s: How often it looks whether something is due.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        leads: Callable[[], bool],
        targets: Sequence[Sender] | None = None,
        *,
        wake_s: float = _WAKE_S,
    ) -> None:
        self._experiments = list(config.experiments)
        self._daily = DailyStore(store.engine)
        self._spending = SpendStore(store.engine)
        self._leads = leads
        self._wake_s = wake_s
        self._targets = senders(config) if targets is None else targets
        self._due: dict[str, dict[str, float]] = {target.name: {} for target in self._targets}
        """Target -> day -> when to send it, by the clock of `tick`."""
        self._watch = RunWatch(store, self._experiments)
        self._runs: dict[str, dict[str, tuple[float, Report]]] = {target.name: {} for target in self._targets}
        """Target -> name of a golden run or of a standing -> when to send it, and what."""
        self._hour: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="daily-quality", daemon=True)

    def __repr__(self) -> str:
        return f"<DailyMonitor of {len(self._experiments)} experiments to {len(self._targets)} targets>"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_END_S)

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    def tick(self, now: float) -> None:
        """Compute what is due, and send what is due.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        if not self._leads():
            self._hour = None  # what the other one has done meanwhile is made up for from the store
            self._watch.forget()
            return
        self._spending.fold()
        hour = int(now // _HOUR_S)
        if hour != self._hour:
            for day in self._days(now):
                if self._compute(day):
                    for waiting in self._due.values():
                        waiting[day] = now
            self._hour = hour
        # Read only if there is somebody to tell.
        for report in self._watch.news() if self._targets else ():
            for runs in self._runs.values():
                runs[report.name] = (now, report)
        for target in self._targets:
            self._send(target, now)

    def _days(self, now: float) -> list[str]:
        """Return the days to compute: yesterday and today; after a start also those that nobody has computed."""
        today = date.fromisoformat(day_of(now))
        first = today - timedelta(days=1)
        if self._hour is None:
            newest = [day for name in self._experiments if (day := self._daily.newest_day(name)) is not None]
            longest = today - timedelta(days=_MOST_DAYS)
            first = min(first, max([longest, *(date.fromisoformat(day) for day in newest)]))
        return days_between(first.isoformat(), today.isoformat())

    def _compute(self, day: str) -> list[DailyQuality]:
        return [row for name in self._experiments for row in self._daily.compute(name, day)]

    def _send(self, target: Sender, now: float) -> None:
        """Send a target all that is due at once: its process takes seconds to start."""
        waiting, runs = self._due[target.name], self._runs[target.name]
        days = sorted(day for day, at in waiting.items() if at <= now)
        due = [report for at, report in runs.values() if at <= now]
        if not days and not due:
            return
        found: list[Report] = [*reports(row for day in days for row in self._daily.read(day)), *due]
        names = [report.name for report in due]
        try:
            target.send(found, self._stop)
        except SendError as error:
            _log.warning("daily_quality_not_sent", target=target.name, days=days, runs=names, reason=str(error))
            waiting.update(dict.fromkeys(days, now + _RETRY_S))
            runs.update({report.name: (now + _RETRY_S, report) for report in due})
            return
        for day in days:
            del waiting[day]
        for name in names:
            del runs[name]
        _log.info("daily_quality_sent", target=target.name, days=days, runs=names)

    def _run(self) -> None:
        trouble = ""
        while not self._stop.wait(self._wake_s):
            try:
                self.tick(time.time())
                trouble = ""
            except Exception as error:  # noqa: BLE001  # the store may be away for minutes; the next round tries again
                said = type(error).__name__
                if said != trouble:
                    _log.warning("daily_quality_failed", trouble=said, exc_info=error)
                trouble = said
