"""What is counted of a metric in a slice: the plain records that the ledger keeps. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from experiments.stored import Outcome

ALL = ""
"""The slice of all traffic."""


class Key(NamedTuple):
    """A metric in a slice."""

    metric: str
    slice: str = ALL


class Exposure(NamedTuple):
    """A unit's first live request: it decides to which stratum the unit belongs, whatever it does later."""

    stage: int
    split: int
    """Basis points."""
    assigned: str


@dataclass
class Moments:
    """Count, mean and sum of squared deviations (Welford), for values without bounds."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Add one value."""
        self.n += 1
        delta = value - self.mean
        self.mean += delta / self.n
        self.m2 += delta * (value - self.mean)


@dataclass
class PairCounts:
    """What the pairs themselves say, for display: sums of scores, and who did better."""

    pairs: int = 0
    losses: int = 0
    wins: int = 0
    control: float = 0.0
    treatment: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Add one pair."""
        self.pairs += 1
        self.losses += outcome.value < 0
        self.wins += outcome.value > 0
        self.control += outcome.control_value
        self.treatment += outcome.treatment_value
