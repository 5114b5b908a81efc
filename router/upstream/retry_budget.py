"""The retry budget of one process: second attempts must not double the load on backends that fail under it."""

from __future__ import annotations

import time
from collections.abc import Callable

WINDOW_S = 10
FLOOR = 3
"""So many second attempts are allowed within a window in any case: a quiet system may retry too."""


class RetryBudget:
    """Allows second attempts as a share of the requests of the last ten seconds.

    Args:
        percent: Of the requests; 0 allows none at all.
        clock: Monotonic, in seconds.
    """

    __slots__ = ("_clock", "_percent", "_requests", "_retries", "_second", "_slots", "exhausted")

    def __init__(self, percent: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._percent = percent
        self._clock = clock
        # A ring of whole seconds, with its sums: a request costs two additions, whatever the rate.
        self._slots = [(0, 0)] * WINDOW_S
        self._second = int(clock())
        self._requests = self._retries = 0
        self.exhausted = 0
        """Second attempts that were refused."""

    def __repr__(self) -> str:
        return f"<RetryBudget {self._percent:g} % [{self._retries} of {self._requests} requests]>"

    def note_request(self) -> None:
        """Count a first attempt."""
        second = self._advance()
        requests, retries = self._slots[second % WINDOW_S]
        self._slots[second % WINDOW_S] = (requests + 1, retries)
        self._requests += 1

    def may_retry(self) -> bool:
        """Whether a second attempt may be made now; if so, it is counted."""
        second = self._advance()
        if self._percent <= 0 or self._retries + 1 > max(FLOOR, self._requests * self._percent / 100):
            self.exhausted += 1
            return False
        requests, retries = self._slots[second % WINDOW_S]
        self._slots[second % WINDOW_S] = (requests, retries + 1)
        self._retries += 1
        return True

    def _advance(self) -> int:
        """Forget what has left the window; returns the present second."""
        second = int(self._clock())
        if second == self._second:
            return second
        for passed in range(max(self._second + 1, second - WINDOW_S + 1), second + 1):
            requests, retries = self._slots[passed % WINDOW_S]
            self._slots[passed % WINDOW_S] = (0, 0)
            self._requests -= requests
            self._retries -= retries
        self._second = max(second, self._second)
        return self._second
