"""What a method returns: an estimate with its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.rendering import Rendered


@dataclass(frozen=True, slots=True)
class NotEstimable(Rendered):
    """Cannot be computed. A result in its own right, never a neutral number."""

    reason: str


@dataclass(frozen=True, slots=True)
class Estimate(Rendered):
    """A value with its interval."""

    value: float
    lower: float
    """May be -inf: unbounded."""
    upper: float
    """May be inf: unbounded."""
    level: float
    """Confidence of the interval, 0.95 for 95 %."""
    n: int
    """Independent observations."""
    method: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestResult(Rendered):
    """A test statistic with its p-value."""

    __test__ = False  # not a test class of pytest's

    statistic: float
    p_value: float
    n: int
    method: str
    assumptions: tuple[str, ...] = ()
