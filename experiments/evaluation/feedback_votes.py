"""Feedback on its way to being counted: the latest word of each voter, once it has been quiet for a while. Pure.

A user may change a thumb. What is counted is the latest value of an exchange, metric and source, when it has stood for
`settle_seconds`; it is counted once and for good, since a look that has seen it must find it again. A later change of
mind is kept in the store and counts for nothing, and so does what comes behind the attribution window.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from experiments.stored import StoredFeedback

_Voter = tuple[str, str, str]
"""(exchange, metric, source)."""


class Vote(NamedTuple):
    """What is counted of feedback."""

    exchange: str
    unit: str
    metric: str
    value: float
    assigned: str
    """Variant of its exchange."""
    propensity: float

    @classmethod
    def of(cls, item: StoredFeedback) -> Vote:
        """Take what is needed of a stored one."""
        return cls(item.exchange, item.unit, item.metric, item.value, item.assigned, item.propensity)


class FeedbackVotes:
    """The votes of one experiment's epoch.

    Args:
        metrics: Those that are reported from outside; others are passed over.
        settle_s: So long a vote must have stood, in seconds.
        window_s: So long after its exchange a vote may come, in seconds.
    """

    __slots__ = ("_counted", "_metrics", "_settle_s", "_waiting", "_window_s")

    def __init__(self, metrics: Iterable[str], settle_s: float, window_s: float) -> None:
        self._metrics = frozenset(metrics)
        self._settle_s = settle_s
        self._window_s = window_s
        self._waiting: dict[_Voter, tuple[Vote, float]] = {}
        self._counted: set[int] = set()

    def __repr__(self) -> str:
        return f"<FeedbackVotes: {len(self._waiting)} waiting, {len(self._counted)} counted>"

    def add(self, feedback: Iterable[StoredFeedback], now: float) -> None:
        """Take feedback in the order of the store; a vote replaces the one that waits.

        Args:
            feedback: Of the experiment.
            now: Of the look, in seconds since the epoch: no vote is younger, whatever it says of itself.
        """
        for item in feedback:
            if item.metric not in self._metrics or item.at > item.exchange_at + self._window_s:
                continue
            voter, at = (item.exchange, item.metric, item.source), min(item.at, now)
            former = self._waiting.get(voter)
            # Whether a look has come in between must not matter: a vote that has stood is as good as counted.
            has_stood = at - former[1] >= self._settle_s if former else _short(voter) in self._counted
            if not has_stood:
                self._waiting[voter] = (Vote.of(item), at)

    def settled(self, now: float) -> list[Vote]:
        """Take out the votes that have stood long enough, in the order of their first arrival."""
        ripe = [voter for voter, (_, at) in self._waiting.items() if now - at >= self._settle_s]
        self._counted.update(map(_short, ripe))
        return [self._waiting.pop(voter)[0] for voter in ripe]

    def at_once(self, feedback: Iterable[StoredFeedback]) -> list[Vote]:
        """Return the votes without waiting, each change of mind too: what looks of earlier versions did."""
        found = [item for item in feedback if item.metric in self._metrics]
        self._counted.update(_short((item.exchange, item.metric, item.source)) for item in found)
        return [Vote.of(item) for item in found]


def _short(voter: _Voter) -> int:
    """Return 8 bytes that stand for a vote: there may be millions, and each is kept for as long as the epoch."""
    return int.from_bytes(blake2b("\n".join(voter).encode(), digest_size=8).digest(), "big")
