"""Several hypotheses: e-values in log space, step-down and step-up p-values, and the laws that tie them together."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from analysis.multiplicity import benjamini_hochberg, e_bh, e_bonferroni, holm, log_average_e

log_e_values = st.lists(st.floats(-50, 800), min_size=1, max_size=30)
alphas = st.floats(0.001, 0.5)


def test_the_average_is_the_mean_of_e_values() -> None:
    assert math.exp(log_average_e(np.log([0.5, 3, 40, 1.2]))) == pytest.approx(11.175)
    assert math.exp(log_average_e(np.log([10.0, 2.0]), [0.7, 0.1])) == pytest.approx(7.2)


def test_the_average_neither_overflows_nor_minds_an_e_value_of_zero() -> None:
    assert log_average_e([5000.0, 5000.0]) == pytest.approx(5000.0)
    assert log_average_e([-math.inf, 0.0]) == pytest.approx(math.log(0.5))
    assert log_average_e([-math.inf, -math.inf]) == -math.inf
    assert log_average_e([]) == -math.inf
    assert log_average_e([3.0], [0.0]) == -math.inf


@given(log_e=log_e_values)
def test_the_average_lies_between_the_least_and_the_largest(log_e: list[float]) -> None:
    assert min(log_e) - 1e-9 <= log_average_e(log_e) <= max(log_e) + 1e-9


@given(log_e=log_e_values, alpha=alphas)
def test_where_e_bonferroni_rejects_the_average_rejects_too(log_e: list[float], alpha: float) -> None:
    if e_bonferroni(log_e, alpha).rejected:
        assert log_average_e(log_e) >= math.log(1 / alpha) - 1e-9


@given(log_e=log_e_values, alpha=alphas)
def test_e_bh_rejects_all_that_e_bonferroni_rejects(log_e: list[float], alpha: float) -> None:
    assert set(e_bonferroni(log_e, alpha).rejected) <= set(e_bh(log_e, alpha).rejected)


@given(log_e=log_e_values, alpha=alphas)
def test_e_bh_is_its_definition(log_e: list[float], alpha: float) -> None:
    n, falling = len(log_e), sorted(log_e, reverse=True)
    k = max((k for k in range(1, n + 1) if math.log(k / n) + falling[k - 1] >= math.log(1 / alpha) - 1e-12), default=0)

    assert len(e_bh(log_e, alpha).rejected) == sum(value >= falling[k - 1] for value in log_e if k)


@given(log_e=log_e_values, alpha=alphas, index=st.integers(0, 29), more=st.floats(0, 5))
def test_a_larger_e_value_never_takes_a_rejection_back(log_e, alpha, index, more) -> None:
    raised = list(log_e)
    raised[index % len(log_e)] += more

    for rule in (e_bonferroni, e_bh):
        assert set(rule(log_e, alpha).rejected) <= set(rule(raised, alpha).rejected)


@given(log_e=log_e_values, alpha=alphas)
def test_rejected_are_those_whose_adjusted_e_value_reaches_one_over_alpha(log_e, alpha) -> None:
    for found in (e_bonferroni(log_e, alpha), e_bh(log_e, alpha)):
        reached = [i for i, value in enumerate(found.adjusted_log_e) if value >= math.log(1 / alpha) - 1e-12]
        assert list(found.rejected) == reached


def test_an_e_value_that_meets_its_threshold_exactly_is_rejected() -> None:
    assert e_bonferroni(np.log([80.0, 1.0, 1.0, 1.0]), 0.05).rejected == (0,)
    assert e_bonferroni(np.log([50.0, 1.0]), 0.05, [0.4, 0.6]).rejected == (0,)
    assert e_bh(np.log([40.0, 40.0, 1.0, 1.0]), 0.05).rejected == (0, 1)


def test_weights_share_the_level() -> None:
    assert e_bonferroni(np.log([30.0, 30.0]), 0.05, [0.9, 0.1]).rejected == (0,)
    assert e_bonferroni(np.log([30.0, 1e9]), 0.05, [1.0, 0.0]).rejected == (0,)


def test_benjamini_and_hochbergs_example_has_four_rejections_and_holm_three() -> None:
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.324,
        0.4262,
        0.5719,
        0.6528,
        0.759,
        1.0,
    ]

    assert benjamini_hochberg(p, 0.05).rejected == (0, 1, 2, 3)
    assert holm(p, 0.05).rejected == (0, 1, 2)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20), alpha=alphas)
@settings(max_examples=6, deadline=None)
def test_benjamini_hochberg_rejects_all_that_holm_rejects_and_agrees_with_scipy(p: list[float], alpha: float) -> None:
    found = benjamini_hochberg(p, alpha)

    assert set(holm(p, alpha).rejected) <= set(found.rejected)
    assert found.adjusted_p == pytest.approx(false_discovery_control(p).tolist())
    assert all(q >= x - 1e-12 for q, x in zip(found.adjusted_p, p, strict=True))


def test_nothing_to_test_is_nothing_rejected() -> None:
    for found in (e_bonferroni([], 0.05), e_bh([], 0.05), holm([]), benjamini_hochberg([])):
        assert found.rejected == ()
        assert found.n == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: e_bh([math.nan], 0.05), "must not hold NaN"),
        (lambda: e_bh([[1.0]], 0.05), r"log_e.shape == \(1, 1\), must be \(hypotheses,\)"),
        (lambda: e_bh([1.0], 0), r"alpha == 0, must be in \(0, 1\)"),
        (lambda: e_bonferroni([1.0, 2.0], 0.05, [0.6, 0.6]), "add up to 1 at most"),
        (lambda: e_bonferroni([1.0, 2.0], 0.05, [-0.1, 0.6]), "must be >= 0"),
        (lambda: log_average_e([1.0, 2.0], [1.0]), "one per hypothesis"),
        (lambda: holm([0.5, 1.5]), r"p_values == 1.5, must be in \[0, 1\]"),
        (lambda: benjamini_hochberg([math.nan]), r"p_values == nan, must be in \[0, 1\]"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
