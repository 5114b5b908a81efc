"""Two proportions: the score methods against brute force, published tables, and each other."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlog1py, xlogy
from scipy.stats import binom, norm

from analysis.comparison import Equivalence
from analysis.proportions import (
    equivalence_proportions,
    farrington_manning,
    farrington_manning_noninferiority,
    mee_interval,
    miettinen_nurminen_interval,
    newcombe_interval,
    score_statistic,
)
from analysis.restricted_rates import restricted_rates
from analysis.result import Estimate, NotEstimable, TestResult

Table = tuple[int, int, int, int]
Interval = Callable[..., Estimate | NotEstimable]
INTERVALS = [newcombe_interval, mee_interval, miettinen_nurminen_interval]


@st.composite
def tables(draw: st.DrawFn, largest: int = 2000) -> Table:
    sizes = st.one_of(st.integers(1, 12), st.integers(1, largest))
    n1, n2 = draw(sizes), draw(sizes)
    return draw(st.integers(0, n1)), n1, draw(st.integers(0, n2)), n2


differences = st.floats(-0.98, 0.98).map(lambda d: round(d, 3))
levels = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


def _log_likelihood(p1: float, table: Table, d: float) -> float:
    x1, n1, x2, n2 = table
    p2 = p1 - d
    return float(xlogy(x1, p1) + xlog1py(n1 - x1, -p1) + xlogy(x2, p2) + xlog1py(n2 - x2, -p2))


def _brute_force_rate(table: Table, d: float) -> float:
    """Return p1 of the restricted maximum of the likelihood, by search; it is concave."""
    low, high = max(0.0, d), min(1.0, 1 + d)
    found = minimize_scalar(
        lambda p: -_log_likelihood(p, table, d), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x)


@given(tables(), differences)
def test_the_cubics_root_is_the_restricted_maximum_of_the_likelihood(table: Table, d: float) -> None:
    q1, q2 = restricted_rates(*table, d)

    assert 0 <= q1 <= 1
    assert 0 <= q2 <= 1
    assert math.isclose(q1 - q2, d, abs_tol=1e-12)
    searched = _brute_force_rate(table, d)
    # The likelihood is flat at its maximum: a search finds it to the root of the precision.
    assert abs(q1 - searched) < 1e-5
    assert _log_likelihood(q1, table, d) >= _log_likelihood(searched, table, d) - 1e-7


@pytest.mark.parametrize(
    ("table", "d", "p1"),
    [
        ((20, 35, 30, 55), -0.3, 0.36846438707276824),
        ((83, 88, 69, 76), -0.1, 0.8490330857941177),
        ((0, 10, 0, 10), 0.2, 0.2),  # at the edge of what is possible
        ((10, 10, 10, 10), 0.2, 1.0),
        ((1, 1, 0, 2), 0.5, 0.5),  # three roots in one
        ((0, 10, 0, 20), 0.0, 0.0),
    ],
)
def test_known_restricted_rates(table: Table, d: float, p1: float) -> None:
    assert math.isclose(restricted_rates(*table, d)[0], p1, rel_tol=1e-9, abs_tol=1e-12)


def test_rates_of_a_millionth_keep_their_digits() -> None:
    q1, q2 = restricted_rates(10, 10**7, 10, 10**7, 1e-7)

    # The likelihood equation, solved in 40 digits.
    assert math.isclose(q1, 1.0524937785684490e-6, rel_tol=1e-12)
    assert math.isclose(q2, 9.5249377856844904e-7, rel_tol=1e-12)


def test_farrington_and_manning_agree_with_the_r_package() -> None:
    # R farringtonManning: 20/35 vs 30/55, null -0.3; statsmodels 0.15.0 gives 3.189 (its issue #10269).
    found = farrington_manning(20, 35, 30, 55, -0.3, "greater")

    assert isinstance(found, TestResult)
    assert abs(found.statistic - 3.1545581828) < 1e-9
    assert abs(found.p_value - 0.0008037067) < 1e-9


@pytest.mark.parametrize(
    ("method", "table", "interval"),
    [
        (miettinen_nurminen_interval, (5, 56, 0, 29), (-0.0326, 0.1933)),  # R ratesci
        (mee_interval, (7, 25, 2, 25), (-0.014, 0.412)),  # Gart & Nam 1990
        (newcombe_interval, (56, 70, 48, 80), (0.0524, 0.3339)),  # Newcombe 1998, table II
        (newcombe_interval, (10, 10, 0, 20), (0.6791, 1.0)),
        (newcombe_interval, (0, 10, 0, 20), (-0.1611, 0.2775)),
    ],
)
def test_published_intervals(method: Interval, table: Table, interval: tuple[float, float]) -> None:
    found = method(*table)

    assert isinstance(found, Estimate)
    assert np.allclose([found.lower, found.upper], interval, atol=5e-4)


@pytest.mark.parametrize("method", INTERVALS)
@given(table=tables(), level=levels)
@settings(max_examples=60)
def test_the_estimate_lies_inside_its_interval(method: Interval, table: Table, level: float) -> None:
    found = method(*table, level)

    assert isinstance(found, Estimate)
    assert -1 - 1e-12 <= found.lower <= found.value + 1e-12
    assert found.value - 1e-12 <= found.upper <= 1 + 1e-12
    assert found.lower < found.upper


@pytest.mark.parametrize("method", INTERVALS)
@given(table=tables(), level=levels)
@settings(max_examples=60)
def test_swapping_the_labels_or_the_outcomes_mirrors_the_interval(method: Interval, table: Table, level: float) -> None:
    x1, n1, x2, n2 = table
    found, swapped = method(x1, n1, x2, n2, level), method(x2, n2, x1, n1, level)
    failures = method(n1 - x1, n1, n2 - x2, n2, level)

    assert isinstance(found, Estimate)
    for mirror in (swapped, failures):
        assert isinstance(mirror, Estimate)
        assert np.allclose([found.lower, found.upper], [-mirror.upper, -mirror.lower], atol=1e-9)


@given(tables(), differences)
def test_swapping_the_labels_or_the_outcomes_turns_the_statistic_around(table: Table, d: float) -> None:
    x1, n1, x2, n2 = table
    z = score_statistic(*table, d)

    assert math.isclose(z, -score_statistic(x2, n2, x1, n1, -d), rel_tol=1e-7, abs_tol=1e-9)
    assert math.isclose(z, -score_statistic(n1 - x1, n1, n2 - x2, n2, -d), rel_tol=1e-7, abs_tol=1e-9)


@given(tables(), differences, levels)
@settings(max_examples=50)
def test_farrington_manning_rejects_exactly_what_is_outside_of_mees_interval(
    table: Table, d: float, level: float
) -> None:
    test, interval = farrington_manning(*table, d), mee_interval(*table, level)
    assert isinstance(test, TestResult)
    assert isinstance(interval, Estimate)
    assume(abs(test.p_value - (1 - level)) > 1e-9)

    assert (test.p_value < 1 - level) == (not interval.lower <= d <= interval.upper)


@given(tables(), differences, levels)
@settings(max_examples=50)
def test_the_small_sample_statistic_rejects_exactly_what_is_outside_of_miettinen_and_nurminens_interval(
    table: Table, d: float, level: float
) -> None:
    interval = miettinen_nurminen_interval(*table, level)
    assert isinstance(interval, Estimate)
    z = score_statistic(*table, d, small_sample=True)
    reach = float(norm.isf((1 - level) / 2))
    assume(abs(abs(z) - reach) > 1e-8)

    assert (abs(z) > reach) == (not interval.lower <= d <= interval.upper)


@given(tables(), st.floats(0.01, 0.9), st.floats(0.01, 0.9))
def test_a_wider_margin_is_easier_to_keep(table: Table, one: float, other: float) -> None:
    narrow, wide = (farrington_manning_noninferiority(*table, margin) for margin in sorted((one, other)))

    assert isinstance(narrow, TestResult)
    assert isinstance(wide, TestResult)
    assert wide.p_value <= narrow.p_value + 1e-12


@given(tables(), st.floats(0.01, 0.9), st.floats(0.001, 0.4))
@settings(max_examples=50)
def test_equivalence_is_mees_interval_inside_the_margins(table: Table, margin: float, alpha: float) -> None:
    found, interval = equivalence_proportions(*table, margin, alpha), mee_interval(*table, 1 - 2 * alpha)
    assert isinstance(found, Equivalence)
    assert isinstance(interval, Estimate)
    assume(abs(found.p_value - alpha) > 1e-9)

    assert (found.lower, found.upper) == (interval.lower, interval.upper)
    assert (found.p_value < alpha) == (-margin < interval.lower and interval.upper < margin)


def test_equivalence_of_published_counts() -> None:
    found = equivalence_proportions(430, 500, 425, 500, 0.05)

    assert isinstance(found, Equivalence)
    assert abs(found.statistic_low - 2.6695296832) < 1e-8
    assert abs(found.statistic_high + 1.7864467131) < 1e-8


def test_without_a_difference_to_see_the_statistic_is_zero() -> None:
    for x in (0, 1):
        found = farrington_manning(9 * x, 9, 7 * x, 7, 0.0)

        assert isinstance(found, TestResult)
        assert (found.statistic, found.p_value) == (0.0, 1.0)


@pytest.mark.parametrize(("n1", "n2"), [(0, 5), (5, 0), (0, 0)])
def test_an_empty_sample_has_no_estimate(n1: int, n2: int) -> None:
    for method in INTERVALS:
        assert isinstance(method(0, n1, 0, n2), NotEstimable)
    assert isinstance(farrington_manning(0, n1, 0, n2, 0.1), NotEstimable)
    assert isinstance(farrington_manning_noninferiority(0, n1, 0, n2, 0.1), NotEstimable)
    assert isinstance(equivalence_proportions(0, n1, 0, n2, 0.1), NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mee_interval(-1, 5, 0, 5), "x1 == -1, must be >= 0"),
        (lambda: mee_interval(6, 5, 0, 5), "x1 == 6, must be <= 5"),
        (lambda: newcombe_interval(0, 5, 0, -5), "n2 == -5, must be >= 0"),
        (lambda: newcombe_interval(0, 5, 0, 5, 0), "level == 0, must be in (0, 1)"),
        (lambda: restricted_rates(0, 0, 0, 5, 0.1), "min(n1, n2) == 0, must be >= 1"),
        (lambda: farrington_manning(0, 5, 0, 5, 1.0), "null_difference == 1.0, must be in (-1, 1)"),
        (lambda: farrington_manning(0, 5, 0, 5, math.nan), "null_difference == nan, must be in (-1, 1)"),
        (
            lambda: farrington_manning(0, 5, 0, 5, 0.1, "up"),
            "alternative == 'up', must be one of two-sided, greater, less",
        ),
        (lambda: farrington_manning_noninferiority(0, 5, 0, 5, 0), "margin == 0, must be in (0, 1)"),
        (lambda: equivalence_proportions(0, 5, 0, 5, 0.1, 0.5), "alpha == 0.5, must be in (0, 0.5)"),
    ],
)
def test_bad_input_is_named_with_its_rule(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()

    assert str(raised.value) == message


@pytest.mark.parametrize(("n1", "n2"), [(60, 60), (40, 60)])
def test_the_score_test_keeps_its_level_at_the_margin(n1: int, n2: int) -> None:
    """Exact error by enumeration over both binomials; Wald's test has 6.7 and 8 % there."""
    chance = np.outer(binom.pmf(range(n1 + 1), n1, 0.85), binom.pmf(range(n2 + 1), n2, 0.95))
    error = 0.0
    for x1, x2 in np.argwhere(chance > 1e-10).tolist():
        found = farrington_manning_noninferiority(x1, n1, x2, n2, 0.1)
        assert isinstance(found, TestResult)
        error += chance[x1, x2] * (found.p_value < 0.05)

    assert 0.045 < error < 0.05
