"""Asymptotic confidence sequences for means without bounds: log-latency, log-cost, scores.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence
sequences", equations 9 (two-sided) and 134 (one-sided), as coded in GrowthBook's gbstats. Only with a burn-in: from
the second observation on they would err far too often. Never for rare events: there, use `analysis.event_coin`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.checks import check_count, check_positive, check_share
from analysis.result import Estimate, NotEstimable

_METHOD = "asymptotic confidence sequence"
_ASSUMPTIONS = ("independent units", "finite variance", "enough units for a central limit (burn-in)")


@dataclass(frozen=True, slots=True)
class MeanState:
    """Count, mean and sum of squared deviations; mergeable (Chan et al. 1979), equal up to rounding in any order."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, values: ArrayLike) -> MeanState:
        """Summarise values of shape (n,)."""
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            return cls()
        return cls(int(array.size), float(array.mean()), float(((array - array.mean()) ** 2).sum()))

    def merge(self, other: MeanState) -> MeanState:
        """Add another shard."""
        n = self.n + other.n
        if n == 0:
            return MeanState()
        delta = other.mean - self.mean
        mean = self.mean + delta * other.n / n
        return MeanState(n, mean, self.m2 + other.m2 + delta**2 * self.n * other.n / n)

    @property
    def sd(self) -> float:
        """Sample standard deviation; 0 for fewer than two values, which no caller uses before the burn-in."""
        return math.sqrt(max(0.0, self.m2) / (self.n - 1)) if self.n > 1 else 0.0


def tuning(n_star: float, alpha: float) -> float:
    """Return rho, for which the sequence is tightest at `n_star` observations.

    >>> round(tuning(1000, 0.05), 8)
    0.0890851
    """
    check_positive(n_star, "n_star")
    check_share(alpha, "alpha")
    return math.sqrt((-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / n_star)


def halfwidth(sd: float, n: int, n_star: float, alpha: float) -> float:
    """Return the half-width of the two-sided sequence at `n` observations.

    >>> round(halfwidth(1, 1000, 1000, 0.05), 8)
    0.09598174
    """
    check_count(n, "n")
    v = n * tuning(n_star, alpha) ** 2
    return sd * math.sqrt(2 * (v + 1) / (n * v) * math.log(math.sqrt(v + 1) / alpha))


def halfwidth_one_sided(sd: float, n: int, n_star: float, alpha: float) -> float:
    """Return the half-width of the one-sided sequence at `n` observations; tuned with 2 alpha.

    >>> round(halfwidth_one_sided(1, 1000, 1000, 0.05), 8)
    0.08788268
    """
    check_count(n, "n")
    v = n * tuning(n_star, min(2 * alpha, 0.999)) ** 2
    return sd * math.sqrt(2 * (v + 1) / (n * v) * math.log(1 + math.sqrt(v + 1) / (2 * alpha)))


def asymptotic_cs(state: MeanState, alpha: float, n_star: float, burn_in: int = 100) -> Estimate | NotEstimable:
    """Return the two-sided confidence sequence of the mean.

    Args:
        state: The values, one per independent unit.
        alpha: Chance that the sequence ever misses the mean.
        n_star: Number of units at which it is tightest; fixed in advance.
        burn_in: Fewer units than this are not estimable.

    Raises:
        ValueError: `alpha` or `n_star` is out of range.
    """
    if state.n < max(2, burn_in):
        return NotEstimable(f"{state.n} units, an asymptotic interval needs at least {max(2, burn_in)}")
    half = halfwidth(state.sd, state.n, n_star, alpha)
    return Estimate(state.mean, state.mean - half, state.mean + half, 1 - alpha, state.n, _METHOD, _ASSUMPTIONS)


def asymptotic_p_below(state: MeanState, null_mean: float, n_star: float, burn_in: int = 100) -> float:
    """Return an anytime-valid p-value against "the mean is `null_mean` or more".

    It is 1/E of the one-sided normal mixture with one fixed tuning (that of alpha = 0.05), so that p <= alpha exactly
    when the e-value reaches 1/alpha, for every alpha.

    Args:
        state: The values, one per independent unit.
        null_mean: The boundary.
        n_star: Number of units at which the test is strongest; fixed in advance.
        burn_in: With fewer units the p-value is 1.

    >>> asymptotic_p_below(MeanState.of([-0.5] * 50), 0.0, 500)
    1.0
    """
    if state.n < max(2, burn_in) or state.mean >= null_mean:
        return 1.0
    if state.sd == 0:
        return 0.0
    v = state.n * tuning(n_star, 0.1) ** 2
    z = (null_mean - state.mean) * math.sqrt(state.n) / state.sd
    # Solves the one-sided boundary z = sqrt(2 (v + 1) / v log(1 + sqrt(v + 1) / (2 alpha))) for alpha.
    exponent = z * z * v / (2 * (v + 1))
    if exponent > 700:
        return 0.0
    return min(1.0, math.sqrt(v + 1) / (2 * math.expm1(exponent))) if exponent > 0 else 1.0
