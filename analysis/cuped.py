"""CUPED: a number known before the unit saw an arm takes variance away from the comparison of means."""

from __future__ import annotations

from typing import Literal, NamedTuple

from analysis.arm import Arm, difference
from analysis.checks import check_share
from analysis.comparison import Alternative, Comparison, Measurement, check_alternative, compare
from analysis.joint_moments import JointMoments
from analysis.result import NotEstimable


class Cuped(NamedTuple):
    """A difference of means before and after the covariate took its share of the variance."""

    theta: float
    """Slope of the outcome on the covariate."""
    adjusted: Comparison
    unadjusted: Comparison
    variance_factor: float
    """Squared standard error after the adjustment, as a share of that before."""


Slope = Literal["within_arms", "whole_sample"]
"""Which slope: pooled over the arms, or of the whole sample without regard to arms, as in tea-tasting and gbstats."""


def cuped(
    treatment: JointMoments,
    control: JointMoments,
    *,
    slope: Slope = "within_arms",
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Cuped | NotEstimable:
    """Return the difference of means, adjusted by a covariate from before the experiment.

    Args:
        treatment: Outcome y and covariate x of each unit. The covariate must not depend on the arm.
        control: The same.
        slope: A true effect leaks into the slope of the whole sample, not into that within arms.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `slope`, `level` or `alternative` is out of range.

    Source:
        Deng, Xu, Kohavi & Walker 2013, "Improving the sensitivity of online controlled experiments".

    >>> arms = JointMoments.of([5, 7, 8, 12], [1, 2, 3, 5]), JointMoments.of([3, 6, 7, 9], [1, 2, 3, 4])
    >>> found = cuped(*arms)
    >>> (round(found.theta, 3), round(found.adjusted.value, 3), round(found.variance_factor, 3))
    (1.782, 1.305, 0.024)
    """
    check_share(level, "level")
    check_alternative(alternative)
    if slope not in ("within_arms", "whole_sample"):
        raise ValueError(f"slope == {slope!r}, must be within_arms or whole_sample")
    if min(treatment.n, control.n) < 2:
        return NotEstimable("one of the arms has fewer than 2 units")
    theta = _slope(treatment, control, slope)
    if theta is None:
        return NotEstimable("the covariate does not vary: there is nothing to adjust by")
    grand_mean = treatment.merge(control).mean_x
    adjusted = _difference(treatment, control, theta, grand_mean)
    unadjusted = _difference(treatment, control, 0.0, grand_mean)
    if isinstance(adjusted, NotEstimable):
        return adjusted
    if isinstance(unadjusted, NotEstimable):
        return unadjusted
    return Cuped(
        theta,
        compare(adjusted, alternative=alternative, level=level),
        compare(unadjusted, alternative=alternative, level=level),
        (adjusted.standard_error / unadjusted.standard_error) ** 2,
    )


def _slope(treatment: JointMoments, control: JointMoments, slope: Slope) -> float | None:
    if slope == "whole_sample":
        whole = treatment.merge(control)
        cross, m2_x = whole.cross, whole.m2_x
    else:
        cross, m2_x = treatment.cross + control.cross, treatment.m2_x + control.m2_x
    return cross / m2_x if m2_x > treatment.noise_x + control.noise_x else None


def _difference(
    treatment: JointMoments, control: JointMoments, theta: float, grand_mean: float
) -> Measurement | NotEstimable:
    arms = [
        Arm(
            arm.mean_y - theta * (arm.mean_x - grand_mean),
            arm.residual_variance(theta) / arm.n,
            arm.n,
        )
        for arm in (treatment, control)
    ]
    return difference(arms[0], arms[1], "CUPED" if theta else "Welch")


def cuped_variance_factor(correlation: float) -> float:
    """Return the share of the variance, and of the sample size, that is left with a covariate of this correlation.

    Raises:
        ValueError: `correlation` is not in [-1, 1].

    Source:
        Deng et al. 2013: 1 - rho^2.

    >>> round(cuped_variance_factor(0.7), 2)
    0.51
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation == {correlation!r}, must be in [-1, 1]")
    return 1 - correlation**2
