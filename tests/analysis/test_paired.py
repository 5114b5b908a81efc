"""Paired binary outcomes: published figures, and the laws that bind tests to intervals."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from analysis.paired import (
    cluster_mcnemar,
    mcnemar,
    newcombe_paired,
    tango_interval,
    tango_noninferiority,
    tango_test,
    tango_z,
)
from analysis.result import Estimate, NotEstimable

Pairs = tuple[int, int, int]
counts = st.one_of(st.integers(0, 6), st.integers(0, 800))
pairs = st.tuples(counts, counts, counts).map(lambda c: (c[0], c[1], sum(c))).filter(lambda c: c[2] > 0)
differences = st.floats(-0.98, 0.98).map(lambda d: round(d, 3))
levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
PAIRED_METHODS: list[Callable[..., Estimate | NotEstimable]] = [
    tango_interval,
    lambda wins, losses, n, level: newcombe_paired(
        (n - wins - losses) // 2, wins, losses, (n - wins - losses + 1) // 2, level
    ),
]


def test_mcnemar_is_the_textbooks() -> None:
    # Fagerland, Lydersen & Laake, chapter 8.
    found = mcnemar(6, 16)

    assert np.allclose(found, (-2.132, 0.033006, 0.055009, 0.052479, 0.03469), atol=1e-5)


@given(counts, counts)
def test_mcnemar_agrees_with_scipy_and_statsmodels(wins: int, losses: int) -> None:
    assume(wins + losses > 0)
    found = mcnemar(wins, losses)
    table = [[0, wins], [losses, 0]]

    assert math.isclose(found.p_exact, binomtest(wins, wins + losses).pvalue, rel_tol=1e-9, abs_tol=1e-300)
    chi2 = statsmodels_mcnemar(table, exact=False, correction=False)
    assert math.isclose(found.p_asymptotic, chi2.pvalue, rel_tol=1e-7, abs_tol=1e-300)


@given(counts, counts)
def test_swapping_the_arms_changes_only_the_sign(wins: int, losses: int) -> None:
    one, other = mcnemar(wins, losses), mcnemar(losses, wins)

    assert one.z == -other.z
    assert one[1:] == other[1:]


@given(counts, counts)
def test_every_p_of_mcnemar_is_one_and_the_mid_p_is_below_the_exact(wins: int, losses: int) -> None:
    found = mcnemar(wins, losses)

    assert all(0 <= p <= 1 for p in found[1:])
    assert found.p_mid <= found.p_exact


def test_without_a_discordant_pair_nothing_speaks_against_equality() -> None:
    assert mcnemar(0, 0) == (0.0, 1.0, 1.0, 1.0, 1.0)
    assert cluster_mcnemar([0, 0], [0, 0]).p_value == 1
    assert cluster_mcnemar([], []).p_value == 1


@pytest.mark.parametrize(
    ("case", "interval"),
    [
        ((9, 3, 32), (-0.027, 0.390)),  # Tango 1998, as in R ratesci
        ((16, 8, 86), (-0.020, 0.207)),  # Agresti & Min 2005
        ((6, 16, 161), (-0.124, -0.0054)),  # Fagerland, Lydersen & Laake
        ((0, 3, 3), (-1.0, 0.123)),
    ],
)
def test_published_tango_intervals(case: Pairs, interval: tuple[float, float]) -> None:
    found = tango_interval(*case)

    assert isinstance(found, Estimate)
    assert np.allclose([found.lower, found.upper], interval, atol=5e-4)


def test_no_discordance_in_150_pairs_is_evidence() -> None:
    found = tango_noninferiority(0, 0, 150, 0.02)

    assert (round(found.statistic, 3), round(found.p_value, 3)) == (1.75, 0.04)


@given(pairs, differences)
def test_tangos_variance_is_that_of_the_restricted_likelihood(case: Pairs, d: float) -> None:
    wins, losses, n = case
    assume(d != 0)

    def negative(loss_rate: float) -> float:
        win_rate = loss_rate + d
        ties = 1 - loss_rate - win_rate
        return -float(xlogy(wins, win_rate) + xlogy(losses, loss_rate) + xlogy(n - wins - losses, ties))

    bounds = max(0.0, -d), (1 - d) / 2
    q = minimize_scalar(negative, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    z = (wins - losses - n * d) / math.sqrt(n * (2 * q + d * (1 - d)))

    assert math.isclose(tango_z(*case, d), z, rel_tol=1e-4, abs_tol=1e-4)


@given(pairs)
def test_at_zero_tangos_statistic_is_mcnemars(case: Pairs) -> None:
    wins, losses, _ = case

    assert math.isclose(tango_z(*case, 0.0), mcnemar(wins, losses).z, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("method", PAIRED_METHODS)
@given(case=pairs, level=levels)
@settings(max_examples=60)
def test_the_estimate_lies_inside_and_the_mirror_image_is_mirrored(
    method: Callable[..., Estimate | NotEstimable], case: Pairs, level: float
) -> None:
    wins, losses, n = case
    found, swapped = method(wins, losses, n, level), method(losses, wins, n, level)

    assert isinstance(found, Estimate)
    assert isinstance(swapped, Estimate)
    assert -1 - 1e-12 <= found.lower <= found.value <= found.upper <= 1 + 1e-12
    assert found.lower < found.upper
    assert np.allclose([found.lower, found.upper], [-swapped.upper, -swapped.lower], atol=1e-9)


@given(pairs, differences, levels)
def test_tangos_test_rejects_exactly_what_is_outside_of_the_interval(case: Pairs, d: float, level: float) -> None:
    found, test = tango_interval(*case, level), tango_test(*case, d)
    assert isinstance(found, Estimate)
    assume(abs(test.p_value - (1 - level)) > 1e-9)

    assert (test.p_value < 1 - level) == (not found.lower <= d <= found.upper)


@given(pairs, st.floats(0.01, 0.9), st.floats(0.51, 0.99))
def test_non_inferiority_is_the_lower_limit_above_the_margin(case: Pairs, margin: float, level: float) -> None:
    found, test = tango_interval(*case, 2 * level - 1), tango_noninferiority(*case, margin)
    assert isinstance(found, Estimate)
    assume(abs(test.p_value - (1 - level)) > 1e-9)

    assert (test.p_value < 1 - level) == (found.lower > -margin)


@given(pairs, st.floats(0.001, 0.99), st.floats(0.001, 0.99))
def test_a_wider_margin_is_easier_to_keep(case: Pairs, one: float, other: float) -> None:
    narrow, wide = (tango_noninferiority(*case, margin).p_value for margin in sorted((one, other)))

    assert wide <= narrow + 1e-12


@given(pairs, differences)
def test_the_one_sided_tests_are_complements(case: Pairs, d: float) -> None:
    greater, less = (tango_test(*case, d, side).p_value for side in ("greater", "less"))  # type: ignore[arg-type]

    assert math.isclose(greater + less, 1, abs_tol=1e-12)


@given(counts, counts)
def test_with_one_pair_a_cluster_the_test_is_mcnemars(wins: int, losses: int) -> None:
    found = cluster_mcnemar([1] * losses + [0] * wins, [0] * losses + [1] * wins)

    assert math.isclose(found.statistic, -mcnemar(wins, losses).z, rel_tol=1e-12, abs_tol=1e-12)
    assert math.isclose(found.p_value, mcnemar(wins, losses).p_asymptotic, rel_tol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_clusters_without_discordance_change_nothing(clusters: list[tuple[int, int]]) -> None:
    losses, wins = [c[0] for c in clusters], [c[1] for c in clusters]

    found, more = cluster_mcnemar(losses, wins), cluster_mcnemar([*losses, 0, 0], [*wins, 0, 0])

    assert (found.statistic, found.p_value) == (more.statistic, more.p_value)
    assert found.n + 2 == more.n


def test_published_newcombe_interval() -> None:
    found = newcombe_paired(59, 6, 16, 80)

    assert isinstance(found, Estimate)
    assert np.allclose([found.lower, found.upper], [-0.1186, -0.0046], atol=5e-5)


def test_numpys_integers_do_not_overflow() -> None:
    counts_of = [600_000, 900, 1_100, 400_000]

    assert newcombe_paired(*counts_of) == newcombe_paired(*np.array(counts_of))


def test_without_pairs_there_is_no_estimate_and_no_evidence() -> None:
    assert isinstance(tango_interval(0, 0, 0), NotEstimable)
    assert isinstance(newcombe_paired(0, 0, 0, 0), NotEstimable)
    assert tango_noninferiority(0, 0, 0, 0.1).p_value == 1
    assert tango_test(0, 0, 0, 0.0).p_value == 1


def test_ten_million_pairs_keep_their_digits() -> None:
    found = tango_interval(1_000, 1_000, 10**7)

    assert isinstance(found, Estimate)
    assert math.isclose(found.upper, norm.isf(0.025) * math.sqrt(2_000) / 10**7, rel_tol=2e-3)
    assert math.isclose(found.lower, -found.upper, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar(-1, 0), "wins == -1, must be >= 0"),
        (lambda: tango_interval(3, 3, 5), "wins + losses == 6, must be <= 5"),
        (lambda: tango_interval(0, -2, 5), "losses == -2, must be >= 0"),
        (lambda: tango_interval(0, 0, 5, 1), "level == 1, must be in (0, 1)"),
        (lambda: tango_z(0, 0, 5, -1.0), "null_difference == -1.0, must be in (-1, 1)"),
        (lambda: tango_noninferiority(0, 0, 5, 0), "margin == 0, must be in (0, 1)"),
        (lambda: tango_noninferiority(0, 0, 5, -0.1), "margin == -0.1, must be in (0, 1)"),
        (lambda: tango_test(0, 0, 5, 0.0, "up"), "alternative == 'up', must be one of two-sided, greater, less"),
        (lambda: cluster_mcnemar([1, -1], [0, 0]), "losses[1] == -1, must be >= 0"),
        (lambda: cluster_mcnemar([1], [0, 0]), "len(losses) == 1, must be len(wins) == 2"),
        (lambda: newcombe_paired(1, 1, -1, 1), "only_control == -1, must be >= 0"),
        (lambda: newcombe_paired(1, 1, 1, 1, 0), "level == 0, must be in (0, 1)"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message
