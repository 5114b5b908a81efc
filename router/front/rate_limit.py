"""So many per minute of one key, in bounded memory."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict

WINDOW_S = 60.0
_MAX_KEYS = 65_536


class RateLimit:
    """Counts what each key did in its minute, which begins with the first thing that it does.

    The number of keys is bounded (about 10 MB): beyond it, the key whose minute ends first is forgotten. A sender with
    so many keys needs no second try with one of them, so it gains nothing by that.

    Args:
        per_minute: How often one key may.
        max_keys: How many keys are remembered.
    """

    def __init__(self, per_minute: int, max_keys: int = _MAX_KEYS) -> None:
        self._per_minute = per_minute
        self._max_keys = max_keys
        self._counts: OrderedDict[bytes, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._counts)

    def wait_s(self, key: str, now: float) -> int:
        """Count one more of a key.

        Args:
            key: Whatever tells senders apart, of any length: only its hash is kept.
            now: Monotonic time in seconds.

        Returns:
            0 if it may; else after how many seconds it may again.
        """
        self._forget(now)
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        began, count = self._counts.get(digest, (now, 0))
        if count >= self._per_minute:
            return max(1, math.ceil(began + WINDOW_S - now))
        self._counts[digest] = (began, count + 1)
        if len(self._counts) > self._max_keys:
            self._counts.popitem(last=False)
        return 0

    def _forget(self, now: float) -> None:
        """Drop the minutes that are over; they stand in the order in which they began."""
        while self._counts:
            began, _ = next(iter(self._counts.values()))
            if now - began < WINDOW_S:
                return
            self._counts.popitem(last=False)
