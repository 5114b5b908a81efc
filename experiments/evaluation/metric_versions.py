"""Which version of its scorer a metric is counted by, and since when: epochs of single metrics. Pure.

Scores of two versions are two quantities. The first outcome of another version begins the metric anew; what the former
version still has to say counts for nothing from then on.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from experiments.evaluation.lanes import FIRST
from experiments.stored import Outcome


class Version(NamedTuple):
    """What a metric is counted by."""

    scorer: str
    since: float | None
    """When it took over from another one, in seconds since the epoch; None if it has been there from the start."""
    lane: str
    """Where its units are."""


class Change(Enum):
    """What an outcome means for the version of its metric."""

    NONE = "none"
    ANEW = "anew"
    """The metric begins anew with this outcome."""
    FORMER = "former"
    """It is of a version that counts no more."""


class MetricVersions:
    """The version of every metric."""

    __slots__ = ("_former", "_present")

    def __init__(self) -> None:
        self._present: dict[str, Version] = {}
        self._former: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        return f"<MetricVersions {self._present}>"

    def of(self, metric: str) -> Version | None:
        """Return what a metric is counted by; None before its first outcome."""
        return self._present.get(metric)

    def take(self, outcome: Outcome, now: float, *, anew: bool = True) -> Change:
        """Note the version of an outcome.

        Args:
            outcome: The next one, in the order of the store.
            now: When it is looked at, in seconds since the epoch.
            anew: Whether another version begins the metric anew; else it goes on in the former one's place.
        """
        metric, scorer = outcome.metric, outcome.scorer
        present = self._present.get(metric)
        if present is not None and present.scorer == scorer:
            return Change.NONE
        if present is None:
            lane = FIRST if outcome.scored_at is None else metric
            self._present[metric] = Version(scorer, None, lane)
            return Change.NONE
        if (metric, scorer) in self._former:
            return Change.FORMER
        if not anew:
            self._present[metric] = present._replace(scorer=scorer)
            return Change.NONE
        self._former.add((metric, present.scorer))
        # Its units are closed where they were: only a lane of its own lets them be counted once more.
        self._present[metric] = Version(scorer, now, metric)
        return Change.ANEW

    def all(self) -> dict[str, Version]:
        """Return metric -> version."""
        return dict(self._present)
