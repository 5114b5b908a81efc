"""The event-coin e-process: rare bad events of two arms under any ramp, exact and valid at every look.

When a bad event happens, the arm that it happened in is a coin. If the treatment's risk is at most rr0 times control's,
that coin shows "treatment" with probability at most p rr0 / (p rr0 + 1 - p), where p is the logged probability with
which the unit was assigned to the treatment. Base rates may change as they like: only the p of each event enters. One
event (the first) per randomised unit. Conditional form of the count tests of Lindon & Malek 2020.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.checks import check_count, check_positive, check_share

RELATIVE_RISKS: NDArray[np.float64] = np.array([1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 8, 12])
"""Alternatives that are bet on, as multiples of rr0; equally weighted and fixed."""


@dataclass(frozen=True, slots=True)
class EventCoin:
    """Events counted by (propensity of the treatment, arm): exact to merge, the same in any order."""

    counts: tuple[tuple[float, int, int], ...] = ()
    """(propensity in (0, 1), arm: 1 is the treatment, events), sorted."""

    def __post_init__(self) -> None:
        for propensity, arm, events in self.counts:
            check_share(propensity, "propensity")
            if arm not in {0, 1}:
                raise ValueError(f"arm == {arm!r}, must be 0 (control) or 1 (treatment)")
            check_count(events, "events")

    @classmethod
    def of(cls, events: Iterable[tuple[float, int]]) -> EventCoin:
        """Count events, each as (propensity, arm)."""
        return cls.of_counts(Counter(events))

    @classmethod
    def of_counts(cls, counts: Mapping[tuple[float, int], int]) -> EventCoin:
        """Take a mapping (propensity, arm) -> events."""
        return cls(tuple(sorted((p, arm, n) for (p, arm), n in counts.items())))

    def merge(self, other: EventCoin) -> EventCoin:
        """Add the events of another shard."""
        both = [Counter({(p, arm): n for p, arm, n in state.counts}) for state in (self, other)]
        return self.of_counts(both[0] + both[1])

    @property
    def n(self) -> int:
        """Number of events."""
        return sum(n for _, _, n in self.counts)


def log_e_event(state: EventCoin, rr0: float = 1.0, rr_grid: NDArray[np.float64] = RELATIVE_RISKS) -> float:
    """Return log evidence against "the treatment's risk is at most `rr0` times control's".

    Args:
        state: The events.
        rr0: Highest accepted relative risk, above 0.
        rr_grid: Alternatives as multiples of rr0.

    Raises:
        ValueError: `rr0` or a propensity is out of range.

    >>> state = EventCoin.of([(0.1, 1)] * 6 + [(0.1, 0)] * 4)
    >>> round(log_e_event(state), 3)
    5.911
    """
    check_positive(rr0, "rr0")
    if not state.counts:
        return 0.0
    table = np.array(state.counts, dtype=np.float64)
    propensity, arm, events = table[:, 0], table[:, 1], table[:, 2]
    null = _heads(propensity, rr0)[None, :]
    bold = _heads(propensity[None, :], rr0 * np.asarray(rr_grid, dtype=np.float64)[:, None])
    factors = np.where(arm == 1, np.log(bold / null), np.log1p(-bold) - np.log1p(-null))
    return float(logsumexp(factors @ events) - np.log(len(rr_grid)))


def _heads(propensity: NDArray[np.float64], rr: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that an event's arm is the treatment, when its risk is `rr` times control's."""
    return propensity * rr / (propensity * rr + 1 - propensity)
