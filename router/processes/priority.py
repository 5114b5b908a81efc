"""Who goes first where cores are short: the proxies, since a request waits for nothing behind it."""

from __future__ import annotations

import os

BEHIND_PROXIES = 5
"""Niceness of the processes that record, score and decide. Against a proxy that wants the same core they still get a
quarter of it: decisions come a little later, and not never."""


def give_way() -> None:
    """Let this process, and what it starts, come after the proxies."""
    os.nice(BEHIND_PROXIES)
