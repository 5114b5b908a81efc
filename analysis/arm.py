"""The estimate of one arm with its error, and how two independent arms differ: absolutely or relatively."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.stats import t as student

from analysis.checks import check_finite, check_share
from analysis.comparison import Measurement, no_variance, welch_degrees_of_freedom
from analysis.result import NotEstimable
from analysis.sequential import MeanState

_ASSUMPTIONS = ("independent units", "samples large enough for normal means", "one look")
_ROUNDING = 1e-15
"""Relative spread that is rounding, not variation."""


class Arm(NamedTuple):
    """The estimate of one arm with its squared standard error."""

    value: float
    squared_error: float
    n: int
    """Independent units."""


def arm_of_mean(state: MeanState, name: str) -> Arm | NotEstimable:
    """Return the mean of an arm with its squared standard error.

    Args:
        state: One value per independent unit.
        name: The arm's, for the reason why not.

    Raises:
        ValueError: The mean or the squared deviations are not finite.

    >>> arm_of_mean(MeanState.of([1.0]), "control")
    NotEstimable(reason='control has 1 unit, a standard error needs at least 2')
    """
    if state.n < 2:
        units = "1 unit" if state.n == 1 else "no unit"
        return NotEstimable(f"{name} has {units}, a standard error needs at least 2")
    check_finite(state.mean, f"{name} mean")
    variance = check_finite(state.m2, f"{name} m2") / (state.n - 1)
    if variance <= (_ROUNDING * state.mean) ** 2:
        variance = 0.0
    return Arm(state.mean, variance / state.n, state.n)


def difference(treatment: Arm, control: Arm, method: str, control_weight: float = 1.0) -> Measurement | NotEstimable:
    """Return treatment - weight * control, by Welch.

    Args:
        treatment: The treatment's estimate.
        control: The control's estimate, independent of it.
        method: Name of the method.
        control_weight: 1 - m turns a margin relative to control into a linear contrast.
    """
    squared = control_weight**2 * control.squared_error
    if treatment.squared_error + squared <= 0:
        return no_variance("the values of both arms")
    return Measurement(
        value=treatment.value - control_weight * control.value,
        standard_error=math.sqrt(treatment.squared_error + squared),
        n=treatment.n + control.n,
        method=method,
        assumptions=_ASSUMPTIONS,
        degrees_of_freedom=welch_degrees_of_freedom(treatment.squared_error, treatment.n, squared, control.n),
    )


def relative_change(treatment: Arm, control: Arm, method: str, level: float) -> Measurement | NotEstimable:
    """Return treatment / control - 1, by the delta method.

    The degrees of freedom are those of the absolute difference, as in gbstats. Where control's own interval contains 0
    the ratio has no bounded interval (Fieller 1954), and the delta method would hide that.

    Args:
        treatment: The treatment's estimate.
        control: The control's estimate, independent of it.
        method: Name of the method.
        level: Confidence with which control has to differ from 0.
    """
    check_share(level, "level")
    if treatment.squared_error + control.squared_error <= 0:
        return no_variance("the values of both arms")
    reach = float(student.isf((1 - level) / 2, control.n - 1)) * math.sqrt(control.squared_error)
    if abs(control.value) <= reach:
        return NotEstimable("control's mean cannot be told from 0: a relative change has no bounded interval")
    ratio = treatment.value / control.value
    squared = treatment.squared_error / control.value**2 + ratio**2 * control.squared_error / control.value**2
    if squared <= 0:
        return no_variance("the values of the treatment, whose mean is 0,")
    degrees = welch_degrees_of_freedom(treatment.squared_error, treatment.n, control.squared_error, control.n)
    n = treatment.n + control.n
    return Measurement(ratio - 1, math.sqrt(squared), n, method, _ASSUMPTIONS, degrees)
