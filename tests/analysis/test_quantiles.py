"""Quantiles: exact coverage for one look, always-coverage for all of them, and infinite ends where nothing is known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, quantile_test

from analysis.confidence import log_e_bernoulli
from analysis.quantiles import (
    QuantileRanks,
    order_statistic_ranks,
    quantile_difference_sequence,
    quantile_equality_p,
    quantile_interval,
    quantile_sequence,
    quantile_sequence_ranks,
)
from analysis.result import Estimate, NotEstimable

shares = st.one_of(st.sampled_from([0.01, 0.07, 0.25, 0.5, 0.95, 0.99]), st.floats(0.001, 0.999))
levels = st.sampled_from([0.5, 0.8, 0.95, 0.99])
values = st.lists(st.floats(-50, 50).map(lambda x: round(x, 1)), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("n", "quantile", "ranks"), [(100, 0.5, (40, 61)), (1000, 0.95, (936, 964)), (10, 0.99, (9, None))]
)
def test_known_order_statistic_ranks(n: int, quantile: float, ranks: tuple[int, int | None]) -> None:
    found = order_statistic_ranks(n, quantile)

    assert (found.lower, found.upper) == ranks


def test_an_end_that_errs_with_exactly_its_share_is_used() -> None:
    found = order_statistic_ranks(5, 0.5, 1 - 2 / 32)  # P(no value below the median) = 1 / 32

    assert (found.lower, found.upper, found.coverage) == (1, 5, 0.9375)


def test_the_sample_quantile_is_the_smallest_with_its_share_at_or_below() -> None:
    for quantile, value in ((0.07, 7), (0.071, 8), (0.5, 50), (0.999, 100)):  # 100 * 0.07 is a little over 7
        found = quantile_interval(range(1, 101), quantile)
        assert isinstance(found, Estimate)
        assert found.value == value


@given(st.integers(1, 400), shares, levels)
def test_the_coverage_is_the_binomials_and_one_rank_less_would_miss_it(n: int, quantile: float, level: float) -> None:
    found = order_statistic_ranks(n, quantile, level)
    lower, upper = found.lower or 0, found.upper or n + 1
    tail = (1 - level) / 2

    assert math.isclose(found.coverage, float(binom.pmf(range(lower, upper), n, quantile).sum()), abs_tol=1e-9)
    assert found.coverage >= level
    assert binom.cdf(lower, n, quantile) > tail
    assert binom.sf(upper - 2, n, quantile) > tail


@given(st.integers(30, 200), st.sampled_from([0.25, 0.5, 0.9]))
def test_one_look_agrees_with_scipy(n: int, quantile: float) -> None:
    data = np.random.default_rng(n).normal(size=n)
    found = quantile_interval(data, quantile)
    theirs = quantile_test(data, q=0.0, p=quantile).confidence_interval(0.95)

    assert isinstance(found, Estimate)
    for ours, other in ((found.lower, theirs.low), (found.upper, theirs.high)):
        assert ours == other or (math.isinf(ours) and math.isnan(other))


@given(values, shares, levels)
def test_the_estimate_lies_inside_and_the_mirror_image_is_mirrored(
    data: list[float], quantile: float, level: float
) -> None:
    looks = [quantile_interval(data, quantile, level), quantile_sequence(data, quantile, 1 - level, t_opt=50)]
    turned = np.array(data) * -1
    mirrored = [
        quantile_interval(turned, 1 - quantile, level),
        quantile_sequence(turned, 1 - quantile, 1 - level, t_opt=50),
    ]

    for found, mirror in zip(looks, mirrored, strict=True):
        assert isinstance(found, Estimate)
        assert isinstance(mirror, Estimate)
        assert found.lower <= found.value <= found.upper
        assert (found.lower, found.upper) == (-mirror.upper, -mirror.lower)
        assert found.value in data


@pytest.mark.parametrize(
    ("n", "quantile", "ranks"),
    [(1000, 0.5, (453, 548)), (1000, 0.99, (979, 998)), (200, 0.95, (179, 199))],
)
def test_known_sequence_ranks(n: int, quantile: float, ranks: tuple[int, int | None]) -> None:
    found = quantile_sequence_ranks(n, quantile, 0.05, t_opt=1000)

    assert (found.lower, found.upper) == ranks


@given(st.integers(1, 300), shares, st.sampled_from([0.001, 0.05, 0.3]), st.sampled_from([10.0, 100.0, 1000.0]))
def test_bisection_finds_what_looking_at_every_count_finds(n: int, quantile: float, alpha: float, t_opt: float) -> None:
    counts = np.arange(n + 1)
    rejected = log_e_bernoulli(counts, n, quantile, t_opt) >= -math.log(alpha)
    few, many = counts[rejected & (counts < n * quantile)], counts[rejected & (counts > n * quantile)]

    found = quantile_sequence_ranks(n, quantile, alpha, t_opt)

    assert found.lower == (few.max() + 1 if few.size else None)
    assert found.upper == (many.min() if many.size else None)


@given(st.integers(1, 2_000), shares)
def test_the_sequence_is_wider_than_the_interval_of_one_look(n: int, quantile: float) -> None:
    sequence, one_look = quantile_sequence_ranks(n, quantile, 0.05, t_opt=500), order_statistic_ranks(n, quantile)

    assert (sequence.lower or 0) <= (one_look.lower or 0)
    assert (sequence.upper or n + 1) >= (one_look.upper or n + 1)


def test_the_largest_value_is_no_bound_of_a_p99_before_it_can_be() -> None:
    first = [
        next(n for n in range(1, 2_000) if quantile_sequence_ranks(n, quantile, 0.05, t_opt=1000).upper)
        for quantile in (0.95, 0.99)
    ]

    assert first == [162, 499]
    found = quantile_sequence(range(498), 0.99, 0.05, t_opt=1000)
    assert isinstance(found, Estimate)
    assert found.upper == math.inf


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_the_true_quantile_is_covered_at_every_look(quantile: float) -> None:
    """1,200 looks at each of 400 experiments: 5 % may ever miss; the interval of one look misses most of them."""
    generator, longest, repeats = np.random.default_rng(17), 1_200, 400
    below = np.cumsum(generator.random((repeats, longest)) <= quantile, axis=1)
    missed = {}
    for name, ranks_of in (
        ("sequence", lambda n: quantile_sequence_ranks(n, quantile, 0.05, t_opt=300)),
        ("one look", lambda n: order_statistic_ranks(n, quantile)),
    ):
        looks: list[QuantileRanks] = [ranks_of(n) for n in range(1, longest + 1)]
        lower = np.array([look.lower or 0 for look in looks])
        upper = np.array([look.upper or longest + 1 for look in looks])
        # The quantile is inside while at least `lower` values are at most it, and fewer than `upper`.
        missed[name] = float(np.any((below < lower) | (below >= upper), axis=1).mean())

    assert missed["sequence"] <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / repeats)
    assert missed["one look"] > 0.2


def test_values_of_coarse_clocks_are_covered_too() -> None:
    """Ties: latencies in whole tens of milliseconds, at looks after every 20."""
    generator, missed = np.random.default_rng(5), 0
    for _ in range(200):
        latencies_ms = np.round(generator.exponential(30, 200), -1)
        # P(latency <= 10) = P(raw < 15) = 0.39, P(latency <= 20) = 0.57: the median is 20.
        looks = (quantile_sequence(latencies_ms[:n], 0.5, 0.05, t_opt=100) for n in range(20, 201, 20))
        missed += any(not look.lower <= 20 <= look.upper for look in looks if isinstance(look, Estimate))

    assert missed / 200 <= 0.05


def test_a_shift_between_arms_is_found_and_no_shift_is_not() -> None:
    same, shifted = range(1000), range(120, 1120)

    for treatment, excluded in ((shifted, True), (same, False)):
        found = quantile_difference_sequence(treatment, same, 0.5, 0.05, t_opt=1000)
        assert isinstance(found, Estimate)
        assert (found.lower > 0) == excluded
        assert found.level == 0.95


def test_a_difference_is_what_two_sequences_at_half_alpha_leave() -> None:
    treatment, control = np.random.default_rng(1).exponential(size=(2, 800))
    first, second = (quantile_sequence(arm, 0.9, 0.025, t_opt=500) for arm in (treatment, control))
    found = quantile_difference_sequence(treatment, control, 0.9, 0.05, t_opt=500)

    assert isinstance(first, Estimate)
    assert isinstance(second, Estimate)
    assert isinstance(found, Estimate)
    assert (found.lower, found.upper) == (first.lower - second.upper, first.upper - second.lower)


def test_a_difference_of_unbounded_ends_is_unbounded_and_never_nan() -> None:
    for arms in (([1.0], [2.0]), (range(1000), [2.0]), ([1.0], range(1000))):
        found = quantile_difference_sequence(*arms, 0.5, 0.05, t_opt=100)
        assert isinstance(found, Estimate)
        assert (found.lower, found.upper) == (-math.inf, math.inf)


@pytest.mark.parametrize(("shift", "p"), [(70, 0.814704), (100, 0.0054947)])
def test_published_sequential_p_values(shift: int, p: float) -> None:
    # confseq's unit tests, from an implementation in R.
    found = quantile_equality_p(range(1, 1001), range(1 + shift, 1001 + shift), 0.5, t_opt=100)

    assert abs(found.p_value - p) < 1e-5


@settings(max_examples=50)
@given(values, values, shares)
def test_the_e_value_is_the_least_product_over_all_values(
    treatment: list[float], control: list[float], quantile: float
) -> None:
    found = quantile_equality_p(treatment, control, quantile, t_opt=50)
    # Every count that an arm can have at or below a value, and between values; counts between whole ones at a value.
    points = sorted({*treatment, *control})
    lowest = math.inf
    for point in points:
        total = 0.0
        for arm in (np.array(treatment), np.array(control)):
            counts = np.linspace((arm < point).sum(), (arm <= point).sum(), 201)
            total += float(log_e_bernoulli(counts, arm.size, quantile, 50).min())
        lowest = min(lowest, total)

    assert math.isclose(found.statistic, lowest, abs_tol=2e-3)
    assert found.statistic <= lowest + 1e-9
    assert found.p_value == min(1.0, math.exp(-found.statistic))
    swapped = quantile_equality_p(control, treatment, quantile, t_opt=50)
    assert math.isclose(found.statistic, swapped.statistic, abs_tol=1e-9)


def test_equal_arms_are_rarely_rejected_at_any_of_20_looks_and_unequal_ones_are() -> None:
    generator = np.random.default_rng(29)
    alarms, finds = 0, 0
    for _ in range(100):
        one, other = generator.lognormal(0, 0.7, (2, 1_000))
        for n in range(50, 1_001, 50):
            if quantile_equality_p(one[:n], other[:n], 0.5, t_opt=500).p_value < 0.05:
                alarms += 1
                break
        finds += quantile_equality_p(one * 1.5, other, 0.5, t_opt=500).p_value < 0.05

    assert alarms <= 5
    assert finds >= 95


def test_without_values_nothing_is_known() -> None:
    assert isinstance(quantile_interval([], 0.5), NotEstimable)
    assert isinstance(quantile_sequence([], 0.5, 0.05, t_opt=10), NotEstimable)
    assert isinstance(quantile_difference_sequence([], [1.0], 0.5, 0.05, t_opt=10), NotEstimable)
    assert isinstance(quantile_difference_sequence([1.0], [], 0.5, 0.05, t_opt=10), NotEstimable)
    assert quantile_equality_p([], [], 0.5, t_opt=10).p_value == 1
    assert quantile_equality_p([1.0], [], 0.5, t_opt=10).p_value == 1
    assert order_statistic_ranks(0, 0.5) == QuantileRanks(None, None, 1.0)


def test_ten_million_values_have_ranks_too() -> None:
    found = quantile_sequence_ranks(10**7, 0.95, 0.05, t_opt=10**6)

    assert found.lower is not None
    assert found.upper is not None
    assert 9_490_000 < found.lower < 9_500_000 < found.upper < 9_510_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: order_statistic_ranks(-1, 0.5), "n == -1, must be >= 0"),
        (lambda: order_statistic_ranks(1, 1.0), "quantile == 1.0, must be in (0, 1)"),
        (lambda: quantile_interval([1.0], 0.5, 1.0), "level == 1.0, must be in (0, 1)"),
        (lambda: quantile_interval([math.inf], 0.5), "values[0] == inf, must be finite"),
        (lambda: quantile_sequence([1.0], 0.5, 0.0, t_opt=1), "alpha == 0.0, must be in (0, 1)"),
        (lambda: quantile_sequence([1.0], 0.5, 0.1, t_opt=0), "t_opt == 0, must be > 0 and finite"),
        (lambda: quantile_equality_p([1.0], [math.nan], 0.5, t_opt=1), "control[0] == nan, must be finite"),
        (lambda: quantile_equality_p([1.0], [1.0], 0, t_opt=1), "quantile == 0, must be in (0, 1)"),
        (lambda: quantile_difference_sequence([1.0], [1.0], 0.5, 2, t_opt=1), "alpha == 2, must be in (0, 1)"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
