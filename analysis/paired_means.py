"""Paired scores, log-latency ratios or costs at a fixed size, for reports: Student's t and what is built on it.

Everything is about differences treatment - control, one per pair. Without normal differences, or with few pairs, prefer
`analysis.signed_rank`; with several pairs per user, `analysis.bootstrap`.
"""

from __future__ import annotations

import math

from analysis.arm import arm_of_mean
from analysis.checks import check_positive, check_share
from analysis.comparison import (
    Alternative,
    Comparison,
    Equivalence,
    Measurement,
    check_alternative,
    check_bounds,
    compare,
    equivalence,
    no_variance,
)
from analysis.result import NotEstimable
from analysis.sequential import MeanState
from analysis.two_sample import noninferiority_null

_ASSUMPTIONS = ("independent pairs", "normal differences or many pairs", "one look")


def paired_t(
    differences: MeanState, *, null: float = 0.0, alternative: Alternative = "two-sided", level: float = 0.95
) -> Comparison | NotEstimable:
    """Return the mean difference with Student's interval and test.

    Args:
        differences: Treatment - control of each pair; on logarithms, a ratio.
        null: The mean difference to test.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `level` or `alternative` is out of range, or the values are not finite.

    Source:
        Student 1908, Biometrika 6:1-25.

    >>> sleep = MeanState.of([-1.2, -2.4, -1.3, -1.3, 0, -1.0, -1.8, -0.8, -4.6, -1.4])
    >>> found = paired_t(sleep)
    >>> (round(found.statistic, 4), round(found.p_value, 6), round(found.lower, 3), round(found.upper, 3))
    (-4.0621, 0.002833, -2.46, -0.7)
    """
    return _compared(differences, "paired t", null, alternative, level)


def paired_noninferiority_mean(
    differences: MeanState, margin: float, *, higher_is_better: bool = True, level: float = 0.95
) -> Comparison | NotEstimable:
    """Return the one-sided t test of "the treatment is worse by `margin` or more on average".

    Args:
        differences: Treatment - control of each pair.
        margin: Tolerated loss in the values' own unit, above 0, fixed before the data.
        higher_is_better: False for latency and cost: the upper bound then has to stay below the margin.
        level: Confidence of the one-sided bound.

    Raises:
        ValueError: `margin` or `level` is out of range, or the values are not finite.

    >>> slower_ms = MeanState.of([12, -3, 8, 15, 4, -6, 9, 11, 2, 7, -1, 10])
    >>> found = paired_noninferiority_mean(slower_ms, 15, higher_is_better=False)
    >>> (round(found.upper, 3), round(found.p_value, 6))
    (9.036, 0.00021)
    """
    null, alternative = noninferiority_null(check_positive(margin, "margin"), higher_is_better=higher_is_better)
    return _compared(differences, "paired t non-inferiority", null, alternative, level)


def paired_equivalence(
    differences: MeanState, low: float, high: float, alpha: float = 0.05
) -> Equivalence | NotEstimable:
    """Return the two one-sided t tests of "the mean difference is outside of (low, high)".

    Args:
        differences: Treatment - control of each pair.
        low: Lower equivalence bound.
        high: Upper equivalence bound.
        alpha: Error of each test; the interval has level 1 - 2 alpha.

    Raises:
        ValueError: `low` is not below `high`, `alpha` is out of range, or the values are not finite.

    Source:
        Schuirmann 1987.

    >>> sleep = MeanState.of([-1.2, -2.4, -1.3, -1.3, 0, -1.0, -1.8, -0.8, -4.6, -1.4])
    >>> round(paired_equivalence(sleep, -3, 0).p_value, 6)
    0.002656
    """
    check_bounds(low, high, alpha)
    measured = _measured(differences, "two one-sided paired t tests")
    return measured if isinstance(measured, NotEstimable) else equivalence(measured, low, high, alpha)


def _compared(
    differences: MeanState, method: str, null: float, alternative: Alternative, level: float
) -> Comparison | NotEstimable:
    check_share(level, "level")
    check_alternative(alternative)
    measured = _measured(differences, method)
    if isinstance(measured, NotEstimable):
        return measured
    return compare(measured, null=null, alternative=alternative, level=level)


def _measured(differences: MeanState, method: str) -> Measurement | NotEstimable:
    mean = arm_of_mean(differences, "differences")
    if isinstance(mean, NotEstimable):
        return NotEstimable(f"{differences.n} pairs, a standard error needs at least 2")
    if mean.squared_error <= 0:
        return no_variance("the differences")
    return Measurement(mean.value, math.sqrt(mean.squared_error), mean.n, method, _ASSUMPTIONS, mean.n - 1)
