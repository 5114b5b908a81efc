"""Means of two samples: scipy's figures, margins, and what cannot be estimated."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from analysis.comparison import Alternative, Comparison, Equivalence
from analysis.result import NotEstimable
from analysis.sequential import MeanState
from analysis.two_sample import (
    equivalence_means,
    newcombe_interval,
    noninferiority_mean,
    noninferiority_relative_mean,
    welch,
    welch_relative,
)

samples = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=30)
high_samples = st.lists(st.floats(50, 100).map(lambda x: round(x, 3)), min_size=4, max_size=30)
alternatives = st.sampled_from(["two-sided", "greater", "less"])


def _vary(*arms: list[float]) -> None:
    assume(all(np.std(arm) > 1e-3 for arm in arms))


@given(samples, samples, alternatives)
def test_welch_agrees_with_scipy(treatment: list[float], control: list[float], alternative: Alternative) -> None:
    _vary(treatment, control)
    found = welch(MeanState.of(treatment), MeanState.of(control), alternative=alternative)
    theirs = ttest_ind(treatment, control, equal_var=False, alternative=alternative)
    interval = theirs.confidence_interval(0.95)

    assert isinstance(found, Comparison)
    assert math.isclose(found.statistic, theirs.statistic, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(found.p_value, theirs.pvalue, rel_tol=1e-8, abs_tol=1e-12)
    assert math.isclose(found.degrees_of_freedom, theirs.df, rel_tol=1e-9)
    assert np.allclose([found.lower, found.upper], [interval.low, interval.high])


def test_welch_agrees_with_gbstats() -> None:
    # GrowthBook's gbstats 0.8, tests/frequentist/test_tests.py.
    control = MeanState(3407, 0.41, 52377.9767 - 3407 * 0.41**2)
    treatment = MeanState(3461, 0.7, 134698.29 - 3461 * 0.7**2)

    absolute, relative = welch(treatment, control), welch_relative(treatment, control)

    assert isinstance(absolute, Comparison)
    assert np.allclose([absolute.lower, absolute.upper, absolute.p_value], [0.04538, 0.53462, 0.02016], atol=1e-5)
    assert isinstance(relative, Comparison)
    assert np.allclose([relative.value, relative.standard_error], [0.70732, 0.37879], atol=1e-5)
    assert np.allclose([relative.lower, relative.upper, relative.p_value], [-0.03526, 1.44989, 0.06191], atol=1e-5)


@given(high_samples, high_samples, st.floats(0.1, 1000))
def test_a_relative_change_does_not_depend_on_the_unit(
    treatment: list[float], control: list[float], unit: float
) -> None:
    _vary(treatment, control)
    found = welch_relative(MeanState.of(treatment), MeanState.of(control))
    scaled = welch_relative(MeanState.of(np.array(treatment) * unit), MeanState.of(np.array(control) * unit))
    assume(isinstance(found, Comparison))

    assert isinstance(found, Comparison)
    assert isinstance(scaled, Comparison)
    assert np.allclose([found.value, found.lower, found.upper], [scaled.value, scaled.lower, scaled.upper])


def test_the_delta_method_is_a_simulations_spread() -> None:
    generator = np.random.default_rng(7)
    treatment = generator.gamma(2, 1.1, (4_000, 200))
    control = generator.gamma(2, 1.0, (4_000, 100))
    spread = float(np.std(treatment.mean(axis=1) / control.mean(axis=1) - 1))

    errors = []
    for one, other in zip(treatment[:100], control[:100], strict=True):
        found = welch_relative(MeanState.of(one), MeanState.of(other))
        assert isinstance(found, Comparison)
        errors.append(found.standard_error)

    assert math.isclose(float(np.mean(errors)), spread, rel_tol=0.05)


@given(samples, samples, st.floats(0.01, 50), st.floats(0.01, 50), st.booleans())
def test_a_wider_margin_is_easier_to_keep(
    treatment: list[float], control: list[float], one: float, other: float, better: bool
) -> None:
    _vary(treatment, control)
    states = MeanState.of(treatment), MeanState.of(control)
    narrow, wide = (noninferiority_mean(*states, margin, higher_is_better=better) for margin in sorted((one, other)))

    assert isinstance(narrow, Comparison)
    assert isinstance(wide, Comparison)
    assert wide.p_value <= narrow.p_value


@given(samples, samples, st.floats(0.01, 50))
def test_lower_is_better_is_the_mirror_image(treatment: list[float], control: list[float], margin: float) -> None:
    _vary(treatment, control)
    up = noninferiority_mean(MeanState.of(treatment), MeanState.of(control), margin)
    mirrored = MeanState.of(-np.array(treatment)), MeanState.of(-np.array(control))
    down = noninferiority_mean(*mirrored, margin, higher_is_better=False)

    assert isinstance(up, Comparison)
    assert isinstance(down, Comparison)
    assert (up.p_value, up.lower) == (down.p_value, -down.upper)
    assert up.upper == math.inf


@given(high_samples, high_samples, st.floats(0.01, 0.5), st.booleans())
def test_a_relative_margin_counts_the_noise_of_controls_mean(
    treatment: list[float], control: list[float], margin: float, better: bool
) -> None:
    _vary(treatment, control)
    one, other = MeanState.of(treatment), MeanState.of(control)
    weight = 1 - margin if better else 1 + margin
    found = noninferiority_relative_mean(one, other, margin, higher_is_better=better)
    # The same contrast as Welch's test of control's values times the weight.
    scaled = welch(one, MeanState.of(weight * np.array(control)), alternative="greater" if better else "less")

    assert isinstance(found, Comparison)
    assert isinstance(scaled, Comparison)
    assert math.isclose(found.p_value, scaled.p_value, rel_tol=1e-7, abs_tol=1e-12)
    assert math.isclose(found.value, one.mean - weight * other.mean, abs_tol=1e-9)


def test_the_error_at_a_relative_margin_is_the_nominal_one() -> None:
    generator = np.random.default_rng(11)
    rejected = 0
    for _ in range(2_000):
        treatment = MeanState.of(generator.normal(9, 3, 80))
        control = MeanState.of(generator.normal(10, 6, 40))  # exactly 10 % lower, and control is noisy
        found = noninferiority_relative_mean(treatment, control, 0.1)
        assert isinstance(found, Comparison)
        rejected += found.p_value < 0.05

    assert 0.035 < rejected / 2_000 < 0.065


def test_equivalence_needs_both_sides() -> None:
    states = MeanState.of([98, 101, 103.0] * 9), MeanState.of([99, 100, 101.0] * 9)

    inside, outside = equivalence_means(*states, -2, 2), equivalence_means(*states, -2, 0.5)

    assert isinstance(inside, Equivalence)
    assert isinstance(outside, Equivalence)
    assert inside.p_value < 0.01
    assert outside.p_value > 0.5


@pytest.mark.parametrize("arms", [([], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([1.0, 2.0], []), ([3.0] * 5, [2.0] * 4)])
def test_too_little_to_see_a_spread_is_not_estimable(arms: tuple[list[float], list[float]]) -> None:
    states = MeanState.of(arms[0]), MeanState.of(arms[1])

    assert isinstance(welch(*states), NotEstimable)
    assert isinstance(welch_relative(*states), NotEstimable)
    assert isinstance(noninferiority_mean(*states, 1), NotEstimable)
    assert isinstance(noninferiority_relative_mean(*states, 0.1), NotEstimable)
    assert isinstance(equivalence_means(*states, -1, 1), NotEstimable)


def test_equal_values_that_rounding_spreads_do_not_vary() -> None:
    states = MeanState.of([0.1 + 0.2] * 7), MeanState.of([0.7 / 3] * 7)

    assert isinstance(welch(*states), NotEstimable)


@pytest.mark.parametrize("control", [[-1.0, 1.0, 0.5, -0.5], [0.0, 3.0]])
def test_relative_to_a_mean_near_zero_is_not_estimable(control: list[float]) -> None:
    found = welch_relative(MeanState.of([1.0, 2.0, 3.0]), MeanState.of(control))

    assert isinstance(found, NotEstimable)
    assert "cannot be told from 0" in found.reason


def test_a_margin_relative_to_a_negative_mean_has_no_meaning() -> None:
    found = noninferiority_relative_mean(MeanState.of([1.0, 2.0]), MeanState.of([-1.0, -2.0]), 0.1)

    assert isinstance(found, NotEstimable)


def test_one_arm_without_spread_is_enough() -> None:
    found = welch(MeanState.of([1.0, 2.0, 4.0]), MeanState.of([1.0, 1.0]))

    assert isinstance(found, Comparison)
    assert found.degrees_of_freedom == 2


def test_newcombes_interval_is_importable_from_here() -> None:
    assert not isinstance(newcombe_interval(1, 2, 1, 2), NotEstimable)


_TWO = MeanState.of([1.0, 2.0]), MeanState.of([1.0, 3.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: welch(*_TWO, level=1.5), "level == 1.5, must be in (0, 1)"),
        (lambda: welch(*_TWO, alternative="up"), "alternative == 'up', must be one of two-sided, greater, less"),
        (lambda: noninferiority_mean(*_TWO, 0), "margin == 0, must be > 0 and finite"),
        (lambda: noninferiority_relative_mean(*_TWO, 1.0), "margin == 1.0, must be in (0, 1)"),
        (
            lambda: noninferiority_relative_mean(*_TWO, -0.1, higher_is_better=False),
            "margin == -0.1, must be > 0 and finite",
        ),
        (lambda: equivalence_means(*_TWO, 2, 1), "low == 2, must be < high == 1"),
        (lambda: welch(MeanState(2, math.nan, 1.0), _TWO[1]), "treatment mean == nan, must be finite"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
