"""Asymptotic confidence sequences of two arms."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.result import Estimate, NotEstimable
from analysis.sequential import SHARES, Gates, MeanState
from analysis.two_arm_sequential import (
    asymptotic_cs_difference,
    asymptotic_cs_relative,
    asymptotic_p_difference,
    relative_lift,
)

arms = st.builds(MeanState, st.integers(100, 10**6), st.floats(0.5, 5), st.floats(1, 1e5))


@given(arms, arms, st.floats(0.001, 0.4))
def test_the_estimate_lies_inside_and_swapping_arms_mirrors_the_difference(
    control: MeanState, treatment: MeanState, alpha: float
) -> None:
    found, swapped = (
        asymptotic_cs_difference(*pair, alpha, 1000) for pair in ((control, treatment), (treatment, control))
    )

    assert isinstance(found, Estimate)
    assert isinstance(swapped, Estimate)
    assert found.lower < found.value < found.upper
    assert found.value == treatment.mean - control.mean
    assert found.lower == pytest.approx(-swapped.upper)
    assert found.n == control.n + treatment.n


@given(arms, arms, st.floats(-5, 5))
def test_p_is_below_5_percent_exactly_when_the_null_is_outside_of_the_bound(
    control: MeanState, treatment: MeanState, null: float
) -> None:
    upper, lower = (asymptotic_cs_difference(control, treatment, 0.05, 1000, form=f) for f in ("upper", "lower"))
    more, less = (asymptotic_p_difference(control, treatment, null, 1000, against=h) for h in ("or more", "or less"))
    assume(min(abs(more - 0.05), abs(less - 0.05)) > 1e-9)

    assert isinstance(upper, Estimate)
    assert isinstance(lower, Estimate)
    assert (more < 0.05) == (null > upper.upper)
    assert (less < 0.05) == (null < lower.lower)


def test_the_relative_difference_does_not_depend_on_the_unit_of_measurement() -> None:
    rng = np.random.default_rng(6)
    control, treatment = rng.gamma(4, 0.3, 800), rng.gamma(4, 0.33, 500)

    seconds, milliseconds = (
        asymptotic_cs_relative(MeanState.of(unit * control), MeanState.of(unit * treatment), 0.05, 1000)
        for unit in (1, 1000)
    )

    assert isinstance(seconds, Estimate)
    assert isinstance(milliseconds, Estimate)
    assert seconds.value == pytest.approx(treatment.mean() / control.mean() - 1)
    assert (seconds.lower, seconds.upper) == pytest.approx((milliseconds.lower, milliseconds.upper))


def test_the_error_of_the_lift_is_that_of_a_simulation() -> None:
    rng = np.random.default_rng(7)
    control, treatment = rng.normal(2, 1, (4000, 200)), rng.normal(2.2, 1.5, (4000, 100))
    lifts = treatment.mean(axis=1) / control.mean(axis=1) - 1

    errors = [
        relative_lift(MeanState.of(c), MeanState.of(t))[1] for c, t in zip(control[:50], treatment[:50], strict=True)
    ]

    assert np.mean(errors) == pytest.approx(lifts.std(), rel=0.05)


def test_both_arms_must_pass_the_gates() -> None:
    """The side that breaks is false promotion: control with too few events beside a treatment with enough."""
    rare, common = (MeanState.of([1] * k + [0] * (5000 - k)) for k in (3, 60))
    few = MeanState.of([0.0, 1.0] * 20)

    for arms_given in ((rare, common), (common, rare)):
        assert asymptotic_cs_difference(*arms_given, 0.05, 1000, SHARES) == NotEstimable(
            "3 events, an asymptotic interval needs at least 10"
        )
        assert asymptotic_p_difference(*arms_given, 0.0, 1000, SHARES, against="or less") == 1.0
    for arms_given in ((few, common), (common, few)):
        assert asymptotic_cs_relative(*arms_given, 0.05, 1000) == NotEstimable(
            "40 units, an asymptotic interval needs at least 100"
        )


@pytest.mark.parametrize("mean", [0.0, 0.1])
def test_a_control_mean_near_zero_has_no_relative_difference(mean: float) -> None:
    control, treatment = MeanState(200, mean, 199.0), MeanState(200, 1.0, 199.0)

    assert isinstance(asymptotic_cs_relative(control, treatment, 0.05, 1000), NotEstimable)
    if mean:
        assert isinstance(asymptotic_cs_relative(control, treatment, 0.05, 1000, Gates(control_z=0)), Estimate)


def test_a_negative_control_mean_turns_no_error_negative() -> None:
    lift, error = relative_lift(MeanState(200, -2.0, 199.0), MeanState(200, -1.0, 199.0))

    assert (lift, error) == (-0.5, pytest.approx(math.sqrt(1.25 / 200) / 2))


def test_bad_input_is_refused_by_name() -> None:
    arm = MeanState(200, 1.0, 199.0)

    with pytest.raises(ValueError, match="alpha == 1"):
        asymptotic_cs_difference(arm, arm, 1, 1000)
    with pytest.raises(ValueError, match="alpha == 0"):
        asymptotic_cs_relative(arm, arm, 0, 1000)
    with pytest.raises(ValueError, match="against == 'both'"):
        asymptotic_p_difference(arm, arm, 0.0, 1000, against="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="control == MeanState"):
        relative_lift(MeanState(), arm)
