"""Ids and clocks of the hot path."""

from __future__ import annotations

import os
import re
import time

_RANDOM_BITS = 80
_UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_HEX = "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}"


def uuid7() -> str:
    """Return a new UUID version 7 (RFC 9562): 48 bits of milliseconds, then randomness, so ids sort by time."""
    random = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    return _HEX.format(
        milliseconds >> 16,
        milliseconds & 0xFFFF,
        0x7000 | random >> 68,
        0x8000 | random >> 54 & 0x3FFF,
        random & 0xFFFF_FFFF_FFFF,
    )


def uuid7_seconds(exchange_id: str) -> float | None:
    """Return the time of a UUID version 7 in seconds since the epoch, or None if it is none.

    >>> uuid7_seconds("01890a5d-ac96-774b-bcce-b302099a8057")
    1688096058.518
    """
    return int(exchange_id[:8] + exchange_id[9:13], 16) / 1000 if _UUID7.fullmatch(exchange_id) else None
