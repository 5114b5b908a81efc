"""The current flags, read from the store now and then; while it is away, the last good ones hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from experiments.config.records import Experiment
from experiments.interop.evaluation import Flags
from experiments.model import Route

POLL_S = 0.25
"""As often as the proxies read their routes."""


class FlagSource:
    """Reads routes, and keeps what was read last.

    Args:
        experiments: Of the configuration.
        load: Reads the rows of all routes; may raise anything.
        poll_s: What was read is good for so long.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        experiments: Mapping[str, Experiment],
        load: Callable[[], Iterable[Route]],
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._experiments = experiments
        self._load = load
        self._poll_s = poll_s
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: list[Route] | None = None
        self._tried_at: float | None = None
        self.flags: Flags | None = None
        """None until the store was read for the first time."""

    def refresh(self) -> bool:
        """Read the routes, and return whether they differ from before.

        Raises:
            Exception: Whatever reading raised; the last good flags stay.
        """
        self._tried_at = self._clock()
        rows = list(self._load())
        if rows == self._rows:
            return False
        self._rows, self.flags = rows, Flags(self._experiments, rows)
        return True

    def current(self) -> Flags:
        """Return flags that are not older than the poll, or the last good ones.

        Raises:
            Exception: Whatever reading raised, if it never succeeded.
        """
        with self._lock:
            if self._tried_at is None or self.flags is None or self._clock() - self._tried_at >= self._poll_s:
                try:
                    self.refresh()
                except Exception:
                    if self.flags is None:
                        raise
            assert self.flags is not None  # noqa: S101  # a reading that fails was raised
            return self.flags
