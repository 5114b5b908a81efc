"""Two independent samples at a fixed size, for reports: Welch's comparison of means, absolute and relative.

Proportions are in `analysis.proportions`, ratio metrics and clusters in `analysis.ratios`, CUPED in `analysis.cuped`.
"""

from __future__ import annotations

from analysis.arm import arm_of_mean, difference, relative_change
from analysis.checks import check_positive, check_share
from analysis.comparison import (
    Alternative,
    Comparison,
    Equivalence,
    Measurement,
    check_alternative,
    compare,
    equivalence,
)
from analysis.proportions import newcombe_interval
from analysis.result import NotEstimable
from analysis.sequential import MeanState

__all__ = [
    "equivalence_means",
    "newcombe_interval",
    "noninferiority_mean",
    "noninferiority_null",
    "noninferiority_relative_mean",
    "welch",
    "welch_relative",
]


def welch(
    treatment: MeanState,
    control: MeanState,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Comparison | NotEstimable:
    """Return the difference of the means, treatment - control, with Welch's interval and test.

    Args:
        treatment: One value per independent unit.
        control: One value per independent unit.
        null: The difference to test.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `level` or `alternative` is out of range.

    Source:
        Welch 1947, Biometrika 34:28-35.

    >>> found = welch(MeanState.of([3, 4, 5, 6.0]), MeanState.of([1, 2, 3, 3.0]))
    >>> (round(found.value, 2), round(found.lower, 3), round(found.upper, 3), round(found.p_value, 4))
    (2.25, 0.243, 4.257, 0.034)
    """
    return _compared(treatment, control, 1.0, "Welch", (null, alternative, level))


def welch_relative(
    treatment: MeanState,
    control: MeanState,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Comparison | NotEstimable:
    """Return the relative change of the mean, treatment / control - 1, by the delta method.

    Args:
        treatment: One value per independent unit.
        control: One value per independent unit; its mean must differ from 0 at `level`.
        null: The relative change to test: -0.02 for 2 % less.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `level` or `alternative` is out of range.

    Source:
        Deng, Knoblich & Lu 2018, "Applying the delta method in metric analytics".

    >>> found = welch_relative(MeanState.of([11, 12, 13.0] * 9), MeanState.of([9, 10, 11.0] * 9))
    >>> (round(found.value, 3), round(found.lower, 3), round(found.upper, 3))
    (0.2, 0.15, 0.25)
    """
    arms = arm_of_mean(treatment, "treatment"), arm_of_mean(control, "control")
    if isinstance(arms[0], NotEstimable):
        return arms[0]
    if isinstance(arms[1], NotEstimable):
        return arms[1]
    measured = relative_change(arms[0], arms[1], "Welch, relative by the delta method", level)
    if isinstance(measured, NotEstimable):
        return measured
    return compare(measured, null=null, alternative=alternative, level=level)


def noninferiority_mean(
    treatment: MeanState, control: MeanState, margin: float, *, higher_is_better: bool = True, level: float = 0.95
) -> Comparison | NotEstimable:
    """Return the one-sided Welch test of "the treatment's mean is worse by `margin` or more".

    Args:
        treatment: One value per independent unit.
        control: One value per independent unit.
        margin: Tolerated loss in the values' own unit, above 0, fixed before the data.
        higher_is_better: False for latency, cost and errors.
        level: Confidence of the one-sided bound.

    Raises:
        ValueError: `margin` or `level` is out of range.

    >>> found = noninferiority_mean(MeanState.of([98, 101, 103.0]), MeanState.of([99, 100, 101.0]), 5)
    >>> (round(found.lower, 2), round(found.p_value, 4))
    (-3.24, 0.0226)
    """
    null, alternative = noninferiority_null(check_positive(margin, "margin"), higher_is_better=higher_is_better)
    return _compared(treatment, control, 1.0, "Welch non-inferiority", (null, alternative, level))


def noninferiority_relative_mean(
    treatment: MeanState, control: MeanState, margin: float, *, higher_is_better: bool = True, level: float = 0.95
) -> Comparison | NotEstimable:
    """Return the one-sided test of "the treatment's mean is worse by a share `margin` of control's or more".

    The linear contrast treatment - (1 - m) control is tested against 0, so that the noise of control's mean counts.
    To test the difference against m times control's observed mean would take that mean for a constant.

    Args:
        treatment: One value per independent unit.
        control: One value per independent unit, of a mean above 0.
        margin: Tolerated loss as a share of control's mean: 0.02 for 2 %; below 1 where higher is better.
        higher_is_better: False for latency, cost and errors: the contrast is treatment - (1 + m) control.
        level: Confidence of the one-sided bound.

    Raises:
        ValueError: `margin` or `level` is out of range.

    >>> states = MeanState.of([98, 101, 103.0] * 9), MeanState.of([99, 100, 101.0] * 9)
    >>> round(noninferiority_relative_mean(*states, 0.01).p_value, 4)
    0.0003
    """
    weight = 1 - check_share(margin, "margin") if higher_is_better else 1 + check_positive(margin, "margin")
    alternative: Alternative = "greater" if higher_is_better else "less"
    method = "Welch non-inferiority, linear contrast"
    found = _compared(treatment, control, weight, method, (0.0, alternative, level))
    if isinstance(found, Comparison) and control.mean <= 0:
        return NotEstimable("control's mean is not above 0: a margin relative to it has no meaning")
    return found


def equivalence_means(
    treatment: MeanState, control: MeanState, low: float, high: float, alpha: float = 0.05
) -> Equivalence | NotEstimable:
    """Return the two one-sided Welch tests of "the difference of the means is outside of (low, high)".

    Args:
        treatment: One value per independent unit.
        control: One value per independent unit.
        low: Lower equivalence bound of treatment - control.
        high: Upper equivalence bound.
        alpha: Error of each test; the interval has level 1 - 2 alpha.

    Raises:
        ValueError: `low` is not below `high`, or `alpha` is out of range.

    Source:
        Schuirmann 1987.

    >>> states = MeanState.of([98, 101, 103.0] * 9), MeanState.of([99, 100, 101.0] * 9)
    >>> round(equivalence_means(*states, -2, 2).p_value, 4)
    0.0021
    """
    measured = _measured(treatment, control, 1.0, "two one-sided Welch tests")
    return measured if isinstance(measured, NotEstimable) else equivalence(measured, low, high, alpha)


def noninferiority_null(margin: float, *, higher_is_better: bool) -> tuple[float, Alternative]:
    """Return the null value and the alternative of "worse by `margin` or more".

    >>> noninferiority_null(5.0, higher_is_better=False)
    (5.0, 'less')
    """
    return (-margin, "greater") if higher_is_better else (margin, "less")


def _compared(
    treatment: MeanState, control: MeanState, weight: float, method: str, about: tuple[float, Alternative, float]
) -> Comparison | NotEstimable:
    null, alternative, level = about
    check_share(level, "level")
    check_alternative(alternative)
    measured = _measured(treatment, control, weight, method)
    if isinstance(measured, NotEstimable):
        return measured
    return compare(measured, null=null, alternative=alternative, level=level)


def _measured(treatment: MeanState, control: MeanState, weight: float, method: str) -> Measurement | NotEstimable:
    first, second = arm_of_mean(treatment, "treatment"), arm_of_mean(control, "control")
    if isinstance(first, NotEstimable):
        return first
    if isinstance(second, NotEstimable):
        return second
    return difference(first, second, method, weight)
