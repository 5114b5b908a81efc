"""Wilcoxon's test and the Hodges-Lehmann estimate: exact where they say so, and each the other's mirror."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, wilcoxon

from analysis import signed_rank
from analysis.comparison import Alternative
from analysis.result import NotEstimable, TestResult
from analysis.signed_rank import HodgesLehmann, hodges_lehmann, wilcoxon_signed_rank

# Hollander & Wolfe's depression data, as in R's ?wilcox.test.
X = np.array([1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3])
Y = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
seeds = st.integers(0, 10_000)
sizes = st.integers(1, 40)
alternatives = st.sampled_from(["two-sided", "greater", "less"])


def _continuous(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, n)


def test_wilcoxon_is_the_textbooks() -> None:
    found = wilcoxon_signed_rank(X - Y, alternative="greater")

    assert isinstance(found, TestResult)
    assert (found.statistic, found.p_value, found.n) == (40.0, 0.01953125, 9)


def test_hodges_lehmann_is_the_textbooks() -> None:
    found = hodges_lehmann(X - Y)

    assert isinstance(found, HodgesLehmann)
    assert np.allclose([found.value, found.lower, found.upper], [0.46, 0.01, 0.786])
    assert (found.rank, found.walsh_averages, found.achieved_level) == (6, 45, 0.9609375)


@given(seeds, sizes, alternatives)
def test_without_ties_wilcoxon_agrees_with_scipy(seed: int, n: int, alternative: Alternative) -> None:
    values = _continuous(seed, n)
    found = wilcoxon_signed_rank(values, alternative=alternative)

    assert isinstance(found, TestResult)
    assert math.isclose(found.p_value, wilcoxon(values, alternative=alternative, method="exact").pvalue)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10), alternatives)
def test_with_ties_wilcoxon_is_the_enumeration_over_all_signs(values: list[int], alternative: Alternative) -> None:
    kept = [value for value in values if value != 0]
    assume(kept)
    ranks = rankdata(np.abs(kept))
    v = ranks[np.array(kept) > 0].sum()
    sums = [float(np.dot(ranks, signs)) for signs in itertools.product([0, 1], repeat=len(kept))]
    below, above = (float(np.mean(side)) for side in (np.array(sums) <= v + 1e-9, np.array(sums) >= v - 1e-9))
    expected = {"less": below, "greater": above, "two-sided": min(1.0, 2 * min(below, above))}[alternative]
    found = wilcoxon_signed_rank(values, alternative=alternative)

    assert isinstance(found, TestResult)
    assert math.isclose(found.p_value, expected, rel_tol=1e-9)
    assert found.statistic == v


@given(seeds, sizes, st.floats(-2, 2), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilcoxon_rejects_exactly_what_is_outside_of_the_interval(seed: int, n: int, null: float, level: float) -> None:
    values = _continuous(seed, n)
    interval, test = hodges_lehmann(values, level), wilcoxon_signed_rank(values, null=null)
    assert isinstance(interval, HodgesLehmann)
    assert isinstance(test, TestResult)
    assume(abs(test.p_value - (1 - level)) > 1e-9)

    assert (test.p_value < 1 - level) == (not interval.lower <= null <= interval.upper)


@given(st.lists(st.floats(-50, 50).map(lambda x: round(x, 1)), min_size=1, max_size=30), st.floats(-5, 5))
def test_the_estimate_lies_inside_and_moves_with_the_values(values: list[float], shift: float) -> None:
    found, moved = hodges_lehmann(values), hodges_lehmann(np.array(values) + shift)
    mirrored = hodges_lehmann(-np.array(values))

    assert isinstance(found, HodgesLehmann)
    assert isinstance(moved, HodgesLehmann)
    assert isinstance(mirrored, HodgesLehmann)
    assert found.lower <= found.value <= found.upper
    ends = np.array([found.lower, found.value, found.upper])
    assert np.allclose(ends + shift, [moved.lower, moved.value, moved.upper])
    assert np.allclose(ends, [-mirrored.upper, -mirrored.value, -mirrored.lower])
    assert found.achieved_level >= found.level


@given(seeds, st.sampled_from([1, 2, 7, 30]))
def test_the_estimate_is_the_median_of_the_walsh_averages(seed: int, n: int) -> None:
    values = _continuous(seed, n)
    found = hodges_lehmann(values)
    averages = [(values[i] + values[j]) / 2 for i in range(n) for j in range(i, n)]

    assert isinstance(found, HodgesLehmann)
    assert math.isclose(found.value, float(np.median(averages)), abs_tol=1e-12)
    assert found.walsh_averages == len(averages)


@settings(max_examples=20)
@given(seeds, st.integers(3, 60), st.booleans())
def test_bisection_finds_the_same_walsh_averages(seed: int, n: int, ties: bool) -> None:
    values = np.sort(_continuous(seed, n).round(1 if ties else 12))
    first, second = np.triu_indices(n)
    averages = np.sort(values[first] / 2 + values[second] / 2)

    for rank in (1, 2, averages.size // 2, averages.size):
        assert math.isclose(signed_rank._bisected(values, rank), averages[rank - 1], abs_tol=1e-12)


@pytest.mark.parametrize("n", [500, 501, 2_000, 2_001, 20_000])
def test_large_samples_are_estimated_without_a_jump_between_methods(n: int) -> None:
    values = np.random.default_rng(4).normal(0.3, 1, n)
    found, test = hodges_lehmann(values), wilcoxon_signed_rank(values, null=0.3)

    assert isinstance(found, HodgesLehmann)
    assert isinstance(test, TestResult)
    # The estimate's efficiency is 3 / pi: its standard error is that of the mean over sqrt(0.955).
    assert math.isclose((found.upper - found.lower) / 2, 1.96 / math.sqrt(0.955 * n), rel_tol=0.1)
    assert abs(found.value - float(values.mean())) < 0.5 / math.sqrt(n)
    assert math.isclose(found.achieved_level, 0.95, abs_tol=1e-3)
    assert ("exact" in found.method) == (n <= 500) == ("exact" in test.method)


def test_the_normal_approximation_meets_the_exact_distribution() -> None:
    ranks = np.arange(1.0, 401.0)
    middle = float(ranks.sum()) / 2
    points = [middle - 4_000, middle - 1_000, middle]

    exact, normal = signed_rank._exact_tails(ranks, points), signed_rank._normal_tails(ranks, points)

    assert np.allclose(exact, normal, atol=2e-4)


def test_five_pairs_allow_no_bound_at_95_percent() -> None:
    found = hodges_lehmann([1, 2, 3, 4, 5])

    assert isinstance(found, HodgesLehmann)
    assert (found.lower, found.value, found.upper, found.rank) == (-math.inf, 3.0, math.inf, None)
    assert found.achieved_level == 1


def test_nothing_and_ties_are_no_trouble() -> None:
    assert isinstance(wilcoxon_signed_rank([]), NotEstimable)
    assert isinstance(hodges_lehmann([]), NotEstimable)
    assert wilcoxon_signed_rank([0.0] * 9).p_value == 1  # type: ignore[union-attr]
    same = hodges_lehmann([2.0] * 9)
    assert isinstance(same, HodgesLehmann)
    assert (same.lower, same.value, same.upper) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilcoxon_signed_rank([1, math.nan]), "differences[1] == nan, must be finite"),
        (lambda: wilcoxon_signed_rank([1], null=math.inf), "null == inf, must be finite"),
        (lambda: hodges_lehmann([1], 0), "level == 0, must be in (0, 1)"),
        (lambda: hodges_lehmann([[1]]), "differences.shape == (1, 1), must be (n,)"),
        (
            lambda: wilcoxon_signed_rank([1], alternative="up"),  # type: ignore[arg-type]
            "alternative == 'up', must be one of two-sided, greater, less",
        ),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
