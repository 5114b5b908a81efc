"""Student's t on paired differences, against scipy and statsmodels."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from statsmodels.stats.weightstats import ttost_paired

from analysis.comparison import Alternative, Comparison, Equivalence
from analysis.paired_means import paired_equivalence, paired_noninferiority_mean, paired_t
from analysis.result import NotEstimable
from analysis.sequential import MeanState

X = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2.0])  # Student's sleep data
Y = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
samples = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=30).filter(
    lambda x: np.std(x) > 1e-3
)
margins = st.floats(0.01, 50)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_student_agrees_with_scipy(alternative: Alternative) -> None:
    found, theirs = paired_t(MeanState.of(X - Y), alternative=alternative), ttest_rel(X, Y, alternative=alternative)
    interval = theirs.confidence_interval(0.95)

    assert isinstance(found, Comparison)
    assert np.allclose(
        [found.statistic, found.degrees_of_freedom, found.p_value, found.lower, found.upper],
        [theirs.statistic, theirs.df, theirs.pvalue, interval.low, interval.high],
    )


def test_equivalence_agrees_with_statsmodels() -> None:
    found = paired_equivalence(MeanState.of(X - Y), -3, 0)
    p, (_, p_low, _), (_, p_high, _) = ttost_paired(X, Y, -3, 0)

    assert isinstance(found, Equivalence)
    assert np.allclose([found.p_value, found.p_low, found.p_high], [p, p_low, p_high])


@given(samples, st.floats(-100, 100), st.sampled_from([0.8, 0.95, 0.99]))
def test_p_is_below_alpha_exactly_when_the_null_is_outside(values: list[float], null: float, level: float) -> None:
    found = paired_t(MeanState.of(values), null=null, level=level)
    assert isinstance(found, Comparison)
    assume(abs(found.p_value - (1 - level)) > 1e-9)

    assert found.lower <= found.value <= found.upper
    assert (found.p_value < 1 - level) == (not found.lower <= null <= found.upper)


@given(samples, margins, st.booleans())
def test_non_inferiority_is_the_bound_within_the_margin(values: list[float], margin: float, better: bool) -> None:
    found = paired_noninferiority_mean(MeanState.of(values), margin, higher_is_better=better)
    assert isinstance(found, Comparison)
    assume(abs(found.p_value - 0.05) > 1e-9)

    assert (found.p_value < 0.05) == (found.lower > -margin if better else found.upper < margin)


@given(samples, margins, margins, st.booleans())
def test_a_wider_margin_is_easier_to_keep(values: list[float], one: float, other: float, better: bool) -> None:
    narrow, wide = (
        paired_noninferiority_mean(MeanState.of(values), margin, higher_is_better=better)
        for margin in sorted((one, other))
    )

    assert isinstance(narrow, Comparison)
    assert isinstance(wide, Comparison)
    assert wide.p_value <= narrow.p_value


@given(samples)
def test_swapping_the_arms_mirrors_the_interval(values: list[float]) -> None:
    found, swapped = paired_t(MeanState.of(values)), paired_t(MeanState.of(-np.array(values)))

    assert isinstance(found, Comparison)
    assert isinstance(swapped, Comparison)
    assert (found.lower, found.p_value) == (-swapped.upper, swapped.p_value)


def test_latency_may_not_grow_by_the_margin() -> None:
    slower_ms = MeanState.of([12, -3, 8, 15, 4, -6, 9, 11, 2, 7, -1, 10])
    found = paired_noninferiority_mean(slower_ms, 15, higher_is_better=False)

    assert isinstance(found, Comparison)
    assert np.allclose([found.value, found.upper, found.p_value], [5.666667, 9.036142, 0.00020951948])
    assert found.lower == -math.inf
    assert found.rejected


@pytest.mark.parametrize("values", [[], [1.0], [0.0] * 9, [0.1] * 9])
def test_too_little_to_see_a_spread_is_not_estimable(values: list[float]) -> None:
    state = MeanState.of(values)

    assert isinstance(paired_t(state), NotEstimable)
    assert isinstance(paired_noninferiority_mean(state, 1), NotEstimable)
    assert isinstance(paired_equivalence(state, -1, 1), NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: paired_t(d, level=0), "level == 0, must be in (0, 1)"),
        (lambda d: paired_t(d, alternative="up"), "alternative == 'up', must be one of two-sided, greater, less"),
        (lambda d: paired_noninferiority_mean(d, 0), "margin == 0, must be > 0 and finite"),
        (lambda d: paired_equivalence(d, 0, 0), "low == 0, must be < high == 0"),
        (lambda _: paired_t(MeanState(3, 0.0, math.inf)), "differences m2 == inf, must be finite"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[MeanState], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(MeanState.of([1.0, 2.0]))

    assert str(raised.value) == message
