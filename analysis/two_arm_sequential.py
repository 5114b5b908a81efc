"""Asymptotic confidence sequences of two arms: the difference of their means, and the relative difference.

For log-latency, log-cost and scores that are bounded or not heavy-tailed. `analysis.sequential` has the boundary, its
sources and the gates, which both arms must pass at every look: for shares, the control's events count like the
treatment's. Assignment probabilities must not change meanwhile: under a ramp, use `analysis.aipw`.
"""

from __future__ import annotations

import math
from typing import Literal

from analysis.checks import check_share
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MEANS, Form, Gates, MeanState, p_one_sided, sequence_around


def asymptotic_cs_difference(
    control: MeanState,
    treatment: MeanState,
    alpha: float,
    n_star: float,
    gates: Gates = MEANS,
    form: Form = "two-sided",
) -> Estimate | NotEstimable:
    """Return the confidence sequence of the treatment's mean minus control's.

    Args:
        control: Values of control, one per independent unit.
        treatment: Values of the treatment.
        alpha: Chance that the sequence ever misses the difference.
        n_star: Number of units of both arms together at which it is tightest; fixed in advance.
        gates: What each arm must have; `SHARES` for zeros and ones.
        form: Two-sided, or one bound alone.

    Raises:
        ValueError: `alpha`, `n_star` or `form` is out of range.

    >>> arm = MeanState.from_sums(400, 40.0, 404.0)
    >>> round(asymptotic_cs_difference(arm, arm, 0.05, 1000).upper, 3)
    0.215
    """
    check_share(alpha, "alpha")
    closed = gates.closed(control, treatment)
    if closed is not None:
        return closed
    n = control.n + treatment.n
    error = math.sqrt(control.variance / control.n + treatment.variance / treatment.n)
    return sequence_around(treatment.mean - control.mean, error * math.sqrt(n), n, alpha, n_star, form)


def asymptotic_cs_relative(
    control: MeanState,
    treatment: MeanState,
    alpha: float,
    n_star: float,
    gates: Gates = MEANS,
    form: Form = "two-sided",
) -> Estimate | NotEstimable:
    """Return the confidence sequence of the lift: the treatment's mean over control's, minus 1.

    The standard error is the delta method's, which is only good while control's mean is far from 0: see `Gates`.
    Arguments as in `asymptotic_cs_difference`.

    Raises:
        ValueError: `alpha`, `n_star` or `form` is out of range.

    >>> control, treatment = MeanState.from_sums(400, 400, 440), MeanState.from_sums(400, 440, 530)
    >>> found = asymptotic_cs_relative(control, treatment, 0.05, 1000)
    >>> (round(found.lower, 3), round(found.value, 3), round(found.upper, 3))
    (0.026, 0.1, 0.174)
    """
    check_share(alpha, "alpha")
    closed = gates.closed(control, treatment)
    if closed is not None:
        return closed
    if control.mean == 0 or abs(control.mean) < gates.control_z * control.sd / math.sqrt(control.n):
        return NotEstimable("control's mean is too near 0 for a relative difference")
    n = control.n + treatment.n
    lift, error = relative_lift(control, treatment)
    return sequence_around(lift, error * math.sqrt(n), n, alpha, n_star, form)


def relative_lift(control: MeanState, treatment: MeanState) -> tuple[float, float]:
    """Return (lift, its standard error by the delta method).

    Raises:
        ValueError: An arm has no unit, or control's mean is 0.
    """
    if min(control.n, treatment.n) == 0 or control.mean == 0:
        raise ValueError(f"control == {control!r}, treatment == {treatment!r}, must have units and a mean of control")
    ratio = treatment.mean / control.mean
    variance = treatment.variance / treatment.n + ratio**2 * control.variance / control.n
    return ratio - 1, math.sqrt(variance) / abs(control.mean)


def asymptotic_p_difference(
    control: MeanState,
    treatment: MeanState,
    null_difference: float,
    n_star: float,
    gates: Gates = MEANS,
    *,
    against: Literal["or more", "or less"],
) -> float:
    """Return an anytime-valid p-value against "the treatment's mean is control's plus `null_difference`, or more".

    Args:
        control: Values of control, one per independent unit.
        treatment: Values of the treatment.
        null_difference: The boundary.
        n_star: Number of units of both arms together at which the test is strongest; fixed in advance.
        gates: While they are closed the p-value is 1.
        against: The hypothesis: the difference is the boundary "or more", or "or less".

    >>> low, high = MeanState.from_sums(400, 0, 400.0), MeanState.from_sums(400, 160, 464.0)
    >>> round(asymptotic_p_difference(low, high, 0.0, 1000, against="or less"), 6)
    2e-06
    """
    if against not in {"or more", "or less"}:
        raise ValueError(f"against == {against!r}, must be 'or more' or 'or less'")
    if gates.closed(control, treatment) is not None:
        return 1.0
    error = math.sqrt(control.variance / control.n + treatment.variance / treatment.n)
    z = (null_difference - (treatment.mean - control.mean)) / error
    return p_one_sided(z if against == "or more" else -z, control.n + treatment.n, n_star)
