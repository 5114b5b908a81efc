"""Quantiles such as the p95 of latency: at a fixed size by order statistics, and at every look by a martingale.

An interval runs between two order statistics. Where the sample is too small for one of them, that end is infinite: the
largest value that was seen is no upper bound of a p99.

For a decision on a high quantile prefer events, "slower than a threshold fixed in advance", with the event coin or the
betting e-process: exact, and powerful early. What is here is for estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from analysis.checks import check_count, check_positive, check_share, check_values
from analysis.confidence import log_e_bernoulli
from analysis.result import Estimate, NotEstimable, TestResult

_ASSUMPTIONS = ("independent units", "constant distribution")
_NO_VALUE = NotEstimable("no value yet")


@dataclass(frozen=True, slots=True)
class QuantileRanks:
    """The order statistics, counted from 1, that an interval runs between."""

    lower: int | None
    """None: unbounded."""
    upper: int | None
    """None: unbounded."""
    coverage: float
    """At least this for every distribution; exactly this for a continuous one at a fixed size."""


def order_statistic_ranks(n: int, quantile: float, level: float = 0.95) -> QuantileRanks:
    """Return the ranks of the distribution-free interval of a quantile, for one look.

    Args:
        n: Number of values.
        quantile: In (0, 1): 0.95 for the p95.
        level: Confidence; each end errs with (1 - level) / 2 at most.

    Raises:
        ValueError: `n` is negative, or `quantile` or `level` is out of range.

    Source:
        Conover 1999, section 3.2; as scipy's `quantile_test`.

    >>> found = order_statistic_ranks(100, 0.5)
    >>> (found.lower, found.upper, round(found.coverage, 6))
    (40, 61, 0.9648)
    >>> order_statistic_ranks(100, 0.99).upper is None
    True
    """
    check_count(n, "n")
    check_share(quantile, "quantile")
    tail = (1 - check_share(level, "level")) / 2
    # The values below the quantile number Binomial(n, quantile).
    below = int(binom.ppf(tail, n, quantile))
    lower = below + 1 if binom.cdf(below, n, quantile) <= tail else below
    upper = int(binom.isf(tail, n, quantile)) + 1
    missed = float(binom.cdf(lower - 1, n, quantile)) + float(binom.sf(upper - 1, n, quantile))
    return QuantileRanks(lower if lower >= 1 else None, upper if upper <= n else None, 1 - missed)


def quantile_interval(values: ArrayLike, quantile: float, level: float = 0.95) -> Estimate | NotEstimable:
    """Return the distribution-free interval of a quantile, for one look.

    Args:
        values: One per independent unit, shape (n,).
        quantile: In (0, 1).
        level: Confidence asked for; the estimate carries the coverage that the ranks give, which is higher.

    Raises:
        ValueError: A value is not finite, or `quantile` or `level` is out of range.

    Source:
        Conover 1999, section 3.2.

    >>> found = quantile_interval(range(1, 101), 0.5)
    >>> (found.value, found.lower, found.upper, round(found.level, 4))
    (50.0, 40.0, 61.0, 0.9648)
    """
    array = check_values(values, "values")
    ranks = order_statistic_ranks(array.size, quantile, level)
    return _between(array, quantile, ranks, "order-statistic interval", (*_ASSUMPTIONS, "one look"))


def quantile_sequence_ranks(
    n: int, quantile: float, alpha: float, t_opt: float, alpha_opt: float = 0.05
) -> QuantileRanks:
    """Return the ranks of the confidence sequence of a quantile at `n` values: valid at every look.

    The values at most the true quantile number a sum of coins with known chance, on which the beta-binomial mixture
    martingale bets. A rank that is rejected, together with all beyond it, is outside; if even 0 or n values are not
    rejected, that end is unbounded.

    Args:
        n: Number of values.
        quantile: In (0, 1).
        alpha: Chance that the sequence ever misses the quantile.
        t_opt: Number of values at which it is tightest; fixed in advance.
        alpha_opt: Error for which it is tightest there.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Howard & Ramdas 2022, Bernoulli 28:1704-1728, the beta-binomial confidence sequence of a fixed quantile.

    >>> quantile_sequence_ranks(1000, 0.5, 0.05, t_opt=1000)
    QuantileRanks(lower=453, upper=548, coverage=0.95)
    >>> quantile_sequence_ranks(100, 0.95, 0.05, t_opt=1000)
    QuantileRanks(lower=86, upper=None, coverage=0.95)
    """
    check_count(n, "n")
    check_share(quantile, "quantile")
    threshold = -math.log(check_share(alpha, "alpha"))
    check_positive(t_opt, "t_opt")

    def rejected(below: int) -> bool:
        return float(log_e_bernoulli(below, n, quantile, t_opt, alpha_opt)) >= threshold

    # The martingale is convex in the count and at most 1 at n * quantile: it rejects on two tails, if at all.
    centre = _sample_rank(n, quantile)
    few = _leading(rejected, centre)
    many = _leading(lambda above: rejected(n - above), n - centre + 1)
    return QuantileRanks(few or None, n - many + 1 if many else None, 1 - alpha)


def quantile_sequence(
    values: ArrayLike, quantile: float, alpha: float, t_opt: float, alpha_opt: float = 0.05
) -> Estimate | NotEstimable:
    """Return the confidence sequence of a quantile at this look.

    Args:
        values: All values so far, one per independent unit, shape (n,).
        quantile: In (0, 1).
        alpha: Chance that the sequence ever misses the quantile.
        t_opt: Number of values at which it is tightest; fixed in advance.
        alpha_opt: Error for which it is tightest there.

    Raises:
        ValueError: An argument is out of range, or a value is not finite.

    Source:
        Howard & Ramdas 2022, Bernoulli 28:1704-1728.

    >>> found = quantile_sequence(range(1, 101), 0.95, 0.05, t_opt=1000)
    >>> (found.value, found.lower, found.upper)
    (95.0, 86.0, inf)
    """
    array = check_values(values, "values")
    ranks = quantile_sequence_ranks(array.size, quantile, alpha, t_opt, alpha_opt)
    return _between(array, quantile, ranks, "beta-binomial quantile sequence", _ASSUMPTIONS)


def quantile_difference_sequence(
    treatment: ArrayLike, control: ArrayLike, quantile: float, alpha: float, t_opt: float
) -> Estimate | NotEstimable:
    """Return the confidence sequence of the difference of a quantile, treatment - control.

    Each arm has a sequence at alpha / 2, and the difference is what they leave: wide, but right at every look.

    Args:
        treatment: All values so far, one per independent unit.
        control: The same.
        quantile: In (0, 1).
        alpha: Chance that the sequence ever misses the difference.
        t_opt: Number of values of an arm at which its sequence is tightest; fixed in advance.

    Raises:
        ValueError: An argument is out of range, or a value is not finite.

    >>> found = quantile_difference_sequence(range(201, 1201), range(1000), 0.5, 0.05, t_opt=1000)
    >>> (found.value, found.lower, found.upper)
    (201.0, 98.0, 304.0)
    """
    check_share(alpha, "alpha")
    first, second = (quantile_sequence(arm, quantile, alpha / 2, t_opt) for arm in (treatment, control))
    if isinstance(first, NotEstimable):
        return first
    if isinstance(second, NotEstimable):
        return second
    return Estimate(
        first.value - second.value,
        first.lower - second.upper,
        first.upper - second.lower,
        1 - alpha,
        first.n + second.n,
        "difference of two beta-binomial quantile sequences",
        _ASSUMPTIONS,
    )


def quantile_equality_p(
    treatment: ArrayLike, control: ArrayLike, quantile: float, t_opt: float, alpha_opt: float = 0.05
) -> TestResult:
    """Return the p-value, valid at every look, of "both arms have the same quantile"; two-sided.

    The product of both arms' martingales at the common quantile is not known, but is at least its minimum over all
    values: that is the e-value. An arm without values gives p 1.

    Args:
        treatment: All values so far, one per independent unit, shape (n,).
        control: The same.
        quantile: In (0, 1).
        t_opt: Number of values of an arm at which its martingale is strongest; fixed in advance.
        alpha_opt: Error for which it is strongest there.

    Returns:
        The statistic is the log e-value. The running minimum of p over looks is valid too.

    Raises:
        ValueError: An argument is out of range, or a value is not finite.

    Source:
        Howard & Ramdas 2022, theorem 5.

    >>> round(quantile_equality_p(range(101, 1101), range(1, 1001), 0.5, t_opt=100).p_value, 7)
    0.0054947
    """
    check_share(quantile, "quantile")
    first = np.sort(check_values(treatment, "treatment"))
    second = np.sort(check_values(control, "control"))
    minima = [_least_count(arm.size, quantile, t_opt, alpha_opt) for arm in (first, second)]
    n, method = first.size + second.size, "sequential two-sample quantile test"
    if min(first.size, second.size) == 0:
        return TestResult(0.0, 1.0, n, method, _ASSUMPTIONS)
    # Left of its least count an arm's martingale falls with the value, right of it it rises.
    starts = [float(arm[max(math.ceil(least), 1) - 1]) for arm, least in zip((first, second), minima, strict=True)]
    pooled = np.concatenate([first, second])
    at = np.unique(pooled[(pooled >= min(starts)) & (pooled <= max(starts))])
    log_e = np.zeros(at.size)
    for arm, least in zip((first, second), minima, strict=True):
        fewest, most = np.searchsorted(arm, at, side="left"), np.searchsorted(arm, at, side="right")
        log_e += log_e_bernoulli(np.clip(least, fewest, most), arm.size, quantile, t_opt, alpha_opt)
    lowest = float(log_e.min())
    return TestResult(lowest, min(1.0, math.exp(-lowest)) if lowest > 0 else 1.0, n, method, _ASSUMPTIONS)


def _least_count(n: int, quantile: float, t_opt: float, alpha_opt: float) -> float:
    """Return at which count, not only a whole one, the martingale of `n` values is least."""
    found = minimize_scalar(
        lambda below: float(log_e_bernoulli(below, n, quantile, t_opt, alpha_opt)),
        bounds=(0, n),
        method="bounded",
        options={"xatol": 1e-9 * max(n, 1)},
    )
    return float(found.x)


def _sample_rank(n: int, quantile: float) -> int:
    """Return the rank of the sample quantile, the smallest with at least that share at or below it; 0 if n is 0."""
    return math.ceil(n * quantile * (1 - 1e-12))  # 100 * 0.07 is a little over 7


def _leading(holds: Callable[[int], bool], length: int) -> int:
    """Return how many of 0, 1, ... length - 1 come before the first for which `holds` is false, by bisection."""
    low, high = 0, max(length, 0)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) else (low, middle)
    return low


def _between(
    array: NDArray[np.float64], quantile: float, ranks: QuantileRanks, method: str, assumptions: tuple[str, ...]
) -> Estimate | NotEstimable:
    n = array.size
    if n == 0:
        return _NO_VALUE
    wanted = [rank for rank in (_sample_rank(n, quantile), ranks.lower, ranks.upper) if rank is not None]
    ordered = np.partition(array, sorted({rank - 1 for rank in wanted}))
    return Estimate(
        float(ordered[_sample_rank(n, quantile) - 1]),
        -math.inf if ranks.lower is None else float(ordered[ranks.lower - 1]),
        math.inf if ranks.upper is None else float(ordered[ranks.upper - 1]),
        ranks.coverage,
        n,
        method,
        assumptions,
    )
