"""Ratio metrics and rates over clusters."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.comparison import Comparison
from analysis.joint_moments import JointMoments
from analysis.ratios import ClusterRate, RatioComparison, cluster_rate, ratio_metric
from analysis.result import NotEstimable
from analysis.sequential import MeanState
from analysis.two_sample import welch, welch_relative

clusters = st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2)
values = st.lists(st.floats(1, 100).map(lambda x: round(x, 2)), min_size=2, max_size=30)


@given(clusters)
def test_a_rate_over_clusters_is_the_linearised_ratio(rows: list[tuple[int, int]]) -> None:
    successes, requests = (np.array([row[i] for row in rows], dtype=float) for i in (0, 1))
    rate = successes.sum() / requests.sum()
    residuals = successes - rate * requests
    n = len(rows)
    assume(np.abs(residuals).max() > 1e-9)
    found = cluster_rate([row[0] for row in rows], [row[1] for row in rows])

    assert isinstance(found, ClusterRate)
    assert math.isclose(found.value, rate)
    assert math.isclose(found.variance, n / (n - 1) * (residuals**2).sum() / requests.sum() ** 2, rel_tol=1e-9)
    assert 0 <= found.lower <= found.value <= found.upper <= 1


@given(st.lists(st.integers(0, 1), min_size=2).filter(lambda x: 0 < sum(x) < len(x)))
def test_with_one_request_a_cluster_the_variance_is_the_plain_one_up_to_its_factor(outcomes: list[int]) -> None:
    n = len(outcomes)
    found = cluster_rate(outcomes, [1] * n)

    assert isinstance(found, ClusterRate)
    assert math.isclose(found.variance, found.variance_naive * n / (n - 1), rel_tol=1e-9)
    assert math.isclose(found.design_effect, n / (n - 1), rel_tol=1e-9)


def test_users_who_always_agree_with_themselves_count_once() -> None:
    once, tenfold = cluster_rate([0, 1] * 20, [1] * 40), cluster_rate([0, 10] * 20, [10] * 40)

    assert isinstance(once, ClusterRate)
    assert isinstance(tenfold, ClusterRate)
    assert math.isclose(once.variance, tenfold.variance)
    assert math.isclose(tenfold.design_effect, 10 * once.design_effect)


@given(values, values)
def test_a_ratio_with_denominator_one_is_welch(treatment: list[float], control: list[float]) -> None:
    assume(np.std(treatment) > 1e-3)
    assume(np.std(control) > 1e-3)
    found = ratio_metric(*(JointMoments.of(arm, [1] * len(arm)) for arm in (treatment, control)))
    states = MeanState.of(treatment), MeanState.of(control)
    plain, relative = welch(*states), welch_relative(*states)

    assert isinstance(found, RatioComparison)
    assert isinstance(plain, Comparison)
    assert np.allclose([found.difference.lower, found.difference.p_value], [plain.lower, plain.p_value])
    assert isinstance(found.relative, Comparison) == isinstance(relative, Comparison)
    if isinstance(found.relative, Comparison) and isinstance(relative, Comparison):
        assert np.allclose([found.relative.lower, found.relative.p_value], [relative.lower, relative.p_value])


def test_swapping_the_arms_mirrors_the_difference() -> None:
    arms = JointMoments.of([3, 5, 9, 4], [1, 2, 3, 1]), JointMoments.of([2, 4, 5, 3], [1, 2, 3, 1])
    found, swapped = ratio_metric(*arms), ratio_metric(*reversed(arms))

    assert isinstance(found, RatioComparison)
    assert isinstance(swapped, RatioComparison)
    assert np.allclose(
        [found.difference.lower, found.difference.upper], [-swapped.difference.upper, -swapped.difference.lower]
    )


def test_the_error_by_users_is_the_nominal_one_where_that_by_requests_is_not() -> None:
    generator = np.random.default_rng(3)
    missed = missed_naive = 0
    for _ in range(1_000):
        rates = generator.beta(4, 4, 150)
        requests = generator.integers(5, 16, 150)
        found = cluster_rate(generator.binomial(requests, rates), requests)
        assert isinstance(found, ClusterRate)
        missed += not found.lower <= 0.5 <= found.upper
        missed_naive += abs(found.value - 0.5) > 1.96 * math.sqrt(found.variance_naive)

    assert missed / 1_000 < 0.075
    assert missed_naive / 1_000 > 0.15


@pytest.mark.parametrize(
    ("successes", "requests"), [([], []), ([1], [2]), ([0, 0], [3, 4]), ([3, 4], [3, 4]), ([1, 2], [2, 4])]
)
def test_a_rate_without_visible_spread_is_not_estimable(successes: list[int], requests: list[int]) -> None:
    assert isinstance(cluster_rate(successes, requests), NotEstimable)


def test_a_ratio_without_denominator_or_spread_is_not_estimable() -> None:
    fine = JointMoments.of([1, 2, 4], [1, 1, 2])

    assert isinstance(ratio_metric(JointMoments.of([1, 2], [0, 0]), fine), NotEstimable)
    assert isinstance(ratio_metric(fine, JointMoments.of([1], [1])), NotEstimable)
    assert isinstance(ratio_metric(JointMoments(), fine), NotEstimable)
    assert isinstance(ratio_metric(*[JointMoments.of([1, 2], [1, 2])] * 2), NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cluster_rate([1, 5], [2, 4]), "successes[1] == 5, must be <= 4"),
        (lambda: cluster_rate([-1, 5], [2, 4]), "successes[0] == -1, must be >= 0"),
        (lambda: cluster_rate([0, 0], [2, 0]), "requests[1] == 0, must be >= 1"),
        (lambda: cluster_rate([0], [2, 1]), "len(successes) == 1, must be len(requests) == 2"),
        (lambda: cluster_rate([0], [1], 0), "level == 0, must be in (0, 1)"),
        (lambda: ratio_metric(JointMoments(), JointMoments(), level=2), "level == 2, must be in (0, 1)"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
