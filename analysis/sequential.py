"""Asymptotic confidence sequences for means without bounds: log-latency, log-cost, scores.

Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence
sequences", equations 9 (two-sided) and 134 (one-sided), as coded in GrowthBook's gbstats. Only behind gates: enough
units and, for shares, enough events in every arm. Without them they would err far too often. Never for rare events:
there, use `analysis.event_coin`.

A state here is a mean and a variance. Merging shards in another order changes its last bits, unlike a histogram's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.checks import check_count, check_positive, check_share
from analysis.rendering import Rendered
from analysis.result import Estimate, NotEstimable

Floats = NDArray[np.float64]
Form = Literal["two-sided", "lower", "upper"]
"""`lower` leaves the upper end infinite: a lower bound alone, and a tighter one; `upper` the reverse."""
_METHOD = "asymptotic confidence sequence"
_ASSUMPTIONS = ("independent units", "finite variance", "enough units for a central limit (burn-in)")


@dataclass(frozen=True, slots=True)
class MeanState(Rendered):
    """Count, mean and sum of squared deviations; mergeable (Chan et al. 1979), equal up to rounding in any order."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, values: ArrayLike) -> MeanState:
        """Summarise values of any shape.

        Raises:
            ValueError: A value is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            return cls()
        infinite = ~np.isfinite(array)
        if np.any(infinite):
            raise ValueError(f"values contain {float(array[infinite].flat[0])!r}, must all be finite")
        mean = float(array.mean())
        return cls(int(array.size), mean, float(((array - mean) ** 2).sum()))

    @classmethod
    def from_sums(cls, n: int, total: float, total_squares: float) -> MeanState:
        """Take sums as other tools give them; digits are lost where the mean is far larger than the deviations.

        Raises:
            ValueError: `n` is negative, or the sum of squares is too small for the sum.

        >>> MeanState.from_sums(2, 4.0, 10.0)
        MeanState(n=2, mean=2.0, m2=2.0)
        """
        if check_count(n, "n") == 0:
            return cls()
        m2 = total_squares - total**2 / n
        if m2 < -1e-9 * total_squares:
            raise ValueError(f"total_squares == {total_squares!r}, must be >= total ** 2 / n == {total**2 / n!r}")
        return cls(n, total / n, max(0.0, m2))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MeanState:
        """Take what `to_dict` gave."""
        return cls(int(data["n"]), float(data["mean"]), float(data["m2"]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit."""
        return {"n": self.n, "mean": self.mean, "m2": self.m2}

    def merge(self, other: MeanState) -> MeanState:
        """Add another shard."""
        n = self.n + other.n
        if n == 0:
            return MeanState()
        delta = other.mean - self.mean
        mean = self.mean + delta * other.n / n
        return MeanState(n, mean, self.m2 + other.m2 + delta**2 * self.n * other.n / n)

    @property
    def variance(self) -> float:
        """Sample variance; 0 for fewer than two values, which no caller uses before the burn-in."""
        return max(0.0, self.m2) / (self.n - 1) if self.n > 1 else 0.0

    @property
    def sd(self) -> float:
        """Sample standard deviation; 0 for fewer than two values."""
        return math.sqrt(self.variance)

    @property
    def events(self) -> int:
        """Of a state of zeros and ones: how often the rarer of the two came."""
        return round(min(self.mean, 1 - self.mean) * self.n)


@dataclass(frozen=True, slots=True)
class Gates:
    """What every arm must have before an asymptotic sequence says anything; fixed before the data."""

    units: int = 100
    events: int = 0
    """Of zeros and ones: least number of events, and of non-events."""
    control_z: float = 3.0
    """Of relative differences: least distance of control's mean from 0, in standard errors."""

    def closed(self, *arms: MeanState) -> NotEstimable | None:
        """Return why the gates are closed, or None where they are open."""
        units, least = min(arm.n for arm in arms), max(2, self.units)
        if units < least:
            return NotEstimable(f"{units} units, an asymptotic interval needs at least {least}")
        if self.events and (events := min(arm.events for arm in arms)) < self.events:
            return NotEstimable(f"{events} events, an asymptotic interval needs at least {self.events}")
        if not any(arm.variance > 0 for arm in arms):
            return NotEstimable("all values are equal, an asymptotic interval needs variation")
        return None


MEANS = Gates()
"""For log-latency, log-cost and scores."""
SHARES = Gates(events=10)
"""For zeros and ones. With 1 event in place of 10, rare events would err 6-9 % of the time at a nominal 5 %."""


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
    v = check_positive(n, "n") * tuning(n_star, alpha) ** 2
    return sd * math.sqrt(2 * (v + 1) / (n * v) * math.log(math.sqrt(v + 1) / alpha))


def halfwidth_one_sided(sd: float, n: int, n_star: float, alpha: float) -> float:
    """Return the half-width of the one-sided sequence at `n` observations; tuned with 2 alpha.

    >>> round(halfwidth_one_sided(1, 1000, 1000, 0.05), 8)
    0.08788268
    """
    v = check_positive(n, "n") * tuning(n_star, min(2 * alpha, 0.999)) ** 2
    return sd * math.sqrt(2 * (v + 1) / (n * v) * math.log(1 + math.sqrt(v + 1) / (2 * alpha)))


def asymptotic_cs(
    state: MeanState, alpha: float, n_star: float, burn_in: int = 100, form: Form = "two-sided", least_events: int = 0
) -> Estimate | NotEstimable:
    """Return the confidence sequence of the mean.

    Args:
        state: The values, one per independent unit.
        alpha: Chance that the sequence ever misses the mean.
        n_star: Number of units at which it is tightest; fixed in advance.
        burn_in: Fewer units than this are not estimable.
        form: Two-sided, or one bound alone.
        least_events: For zeros and ones: fewer events or non-events than this are not estimable.

    Raises:
        ValueError: `alpha`, `n_star` or `form` is out of range.

    >>> found = asymptotic_cs(MeanState.from_sums(400, 40.0, 404.0), 0.05, 500)
    >>> (round(found.lower, 3), found.value, round(found.upper, 3))
    (-0.052, 0.1, 0.252)
    """
    check_share(alpha, "alpha")
    closed = Gates(burn_in, least_events).closed(state)
    if closed is not None:
        return closed
    return sequence_around(state.mean, state.sd, state.n, alpha, n_star, form)


def sequence_around(value: float, sd: float, n: int, alpha: float, n_star: float, form: Form) -> Estimate:
    """Return the sequence around a value whose increments have the given standard deviation; for callers with gates.

    Raises:
        ValueError: `alpha`, `n_star` or `form` is out of range.
    """
    if form not in {"two-sided", "lower", "upper"}:
        raise ValueError(f"form == {form!r}, must be 'two-sided', 'lower' or 'upper'")
    half = (halfwidth if form == "two-sided" else halfwidth_one_sided)(sd, n, n_star, alpha)
    lower = -math.inf if form == "upper" else value - half
    upper = math.inf if form == "lower" else value + half
    return Estimate(value, lower, upper, 1 - alpha, n, _METHOD, _ASSUMPTIONS)


def asymptotic_p_below(state: MeanState, null_mean: float, n_star: float, burn_in: int = 100) -> float:
    """Return an anytime-valid p-value against "the mean is `null_mean` or more".

    It is 1/E of the one-sided normal mixture with one fixed tuning (that of alpha = 0.05), so that p <= alpha exactly
    when the e-value reaches 1/alpha, for every alpha.

    Args:
        state: The values, one per independent unit.
        null_mean: The boundary.
        n_star: Number of units at which the test is strongest; fixed in advance.
        burn_in: With fewer units, or without variation, the p-value is 1.

    >>> asymptotic_p_below(MeanState.of([-0.5] * 50), 0.0, 500)
    1.0
    """
    if Gates(burn_in).closed(state) is not None:
        return 1.0
    return p_one_sided((null_mean - state.mean) * math.sqrt(state.n) / state.sd, state.n, n_star)


def asymptotic_p_above(state: MeanState, null_mean: float, n_star: float, burn_in: int = 100) -> float:
    """Return an anytime-valid p-value against "the mean is `null_mean` or less"; see `asymptotic_p_below`."""
    return asymptotic_p_below(MeanState(state.n, -state.mean, state.m2), -null_mean, n_star, burn_in)


def p_one_sided(z: float, n: int, n_star: float) -> float:
    """Return the anytime-valid p-value of a z-score above 0 in favour of the alternative; for callers with gates.

    It solves the one-sided boundary z = sqrt(2 (v + 1) / v log(1 + sqrt(v + 1) / (2 alpha))) for alpha,
    with the tuning of alpha = 0.05.
    """
    v = n * tuning(n_star, 0.1) ** 2
    exponent = z * z * v / (2 * (v + 1))
    if z <= 0 or exponent == 0:
        return 1.0
    if exponent > 700:
        return 0.0
    return min(1.0, math.sqrt(v + 1) / (2 * math.expm1(exponent)))


def log_e_msprt(difference: ArrayLike, sd: float, n_per_arm: ArrayLike, effect_sd: float) -> Floats:
    """Return the log likelihood ratio of the mixture sequential probability ratio test; a comparator only.

    The same normal mixture as the two-sided sequence above, with another tuning. Offered by peers.

    Args:
        difference: Observed difference of means at each look; any shape.
        sd: Standard deviation of one value, the same in both arms and known.
        n_per_arm: Values in each arm.
        effect_sd: Standard deviation of the normal prior of the difference.

    Source:
        Johari, Koomen, Pekelis & Walsh 2022, "Always valid inference", equation for two streams.

    >>> round(float(log_e_msprt(0.1, 1.0, 1000, 0.1)), 4)
    1.1875
    """
    variance = 2 * check_positive(sd, "sd") ** 2
    d, n = np.asarray(difference, dtype=np.float64), np.asarray(n_per_arm, dtype=np.float64)
    spread = variance + n * check_positive(effect_sd, "effect_sd") ** 2
    return np.asarray(0.5 * np.log(variance / spread) + (n * effect_sd * d) ** 2 / (2 * variance * spread))
