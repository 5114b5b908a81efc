"""Ids and clocks of the hot path."""

from __future__ import annotations

import os
import re
import time
from collections import deque

_UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""Any hexadecimal digit -> one whose first two bits are 10, and whose others are as before."""


_ID_BYTES = 10
_AT_ONCE = 256
"""Ids' worth of randomness that is had by one call of the system."""


_random: deque[str] = deque()
# A child of a fork begins with none, or it would give the same ids.
os.register_at_fork(after_in_child=_random.clear)


def _take_random() -> str:
    """Return 20 hexadecimal digits; from any thread."""
    try:
        return _random.pop()
    except IndexError:
        digits, width = os.urandom(_ID_BYTES * _AT_ONCE).hex(), 2 * _ID_BYTES
        _random.extend(digits[start : start + width] for start in range(width, len(digits), width))
        return digits[:width]


def uuid7() -> str:
    """Return a new UUID version 7 (RFC 9562): 48 bits of milliseconds, then randomness, so ids sort by time."""
    random = _take_random()
    at = f"{time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}"
    return f"{at[:8]}-{at[8:]}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[7:19]}"


def uuid7_seconds(exchange_id: str) -> float | None:
    """Return the time of a UUID version 7 in seconds since the epoch, or None if it is none.

    >>> uuid7_seconds("01890a5d-ac96-774b-bcce-b302099a8057")
    1688096058.518
    """
    return int(exchange_id[:8] + exchange_id[9:13], 16) / 1000 if _UUID7.fullmatch(exchange_id) else None
