"""Mantel-Haenszel over strata: Simpson's ramp, one stratum, and sparse ones."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.result import NotEstimable, TestResult
from analysis.stratified import MantelHaenszel, Stratum, cochran_mantel_haenszel, mantel_haenszel_difference


@st.composite
def strata(draw: st.DrawFn) -> Stratum:
    n1, n2 = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    return Stratum(draw(st.integers(0, n1)), n1, draw(st.integers(0, n2)), n2)


def _swapped(stratum: Stratum) -> Stratum:
    return Stratum(stratum.x_control, stratum.n_control, stratum.x_treatment, stratum.n_treatment)


def test_pooling_a_ramp_finds_harm_where_every_stage_is_better() -> None:
    # Crook, Frasca, Kohavi & Longbotham 2009, table 1.
    found = mantel_haenszel_difference([Stratum(230, 10_000, 20_000, 990_000), Stratum(6_000, 500_000, 5_000, 500_000)])

    assert isinstance(found, MantelHaenszel)
    assert found.pooled_difference < 0
    assert all(stage is not None and stage > 0 for stage in found.stratum_differences)
    assert found.difference.lower > 0


def test_published_strata() -> None:
    # Mehrotra & Railkar's data, as in R ratesci.
    rows = [Stratum(21, 464, 26, 453), Stratum(11, 165, 25, 174), Stratum(8, 69, 11, 70)]
    test, found = cochran_mantel_haenszel(rows), mantel_haenszel_difference(rows)

    assert isinstance(test, TestResult)
    assert isinstance(found, MantelHaenszel)
    assert np.allclose([test.statistic, test.p_value], [4.935770757566, 0.026306328208])
    assert math.isclose(found.difference.value, -0.03079164593972)


@given(strata())
def test_in_one_stratum_it_is_the_plain_difference_with_the_plain_variance(stratum: Stratum) -> None:
    assume(min(stratum.n_treatment, stratum.n_control) > 0)
    p1, p2 = stratum.x_treatment / stratum.n_treatment, stratum.x_control / stratum.n_control
    variance = p1 * (1 - p1) / stratum.n_treatment + p2 * (1 - p2) / stratum.n_control
    assume(variance > 0)
    found = mantel_haenszel_difference([stratum])

    assert isinstance(found, MantelHaenszel)
    assert math.isclose(found.difference.value, p1 - p2, abs_tol=1e-12)
    assert math.isclose(found.difference.standard_error, math.sqrt(variance), rel_tol=1e-9)


@given(st.lists(strata(), max_size=6), st.randoms())
def test_neither_the_order_of_strata_nor_empty_ones_matter_and_labels_only_turn_the_sign(
    rows: list[Stratum], random: object
) -> None:
    found = mantel_haenszel_difference(rows)
    shuffled = [*rows, Stratum(0, 0, 1, 3), Stratum(2, 5, 0, 0)]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    more, mirrored = mantel_haenszel_difference(shuffled), mantel_haenszel_difference([_swapped(r) for r in rows])

    assert isinstance(found, MantelHaenszel) == isinstance(more, MantelHaenszel) == isinstance(mirrored, MantelHaenszel)
    if isinstance(found, MantelHaenszel) and isinstance(more, MantelHaenszel) and isinstance(mirrored, MantelHaenszel):
        assert math.isclose(found.difference.lower, more.difference.lower, abs_tol=1e-9)
        assert math.isclose(found.difference.lower, -mirrored.difference.upper, abs_tol=1e-9)
        assert found.difference.rejected == (found.difference.p_value < 0.05)


@given(st.lists(strata(), max_size=6))
def test_the_test_is_a_p_value_that_labels_do_not_change(rows: list[Stratum]) -> None:
    found, mirrored = cochran_mantel_haenszel(rows), cochran_mantel_haenszel([_swapped(r) for r in rows])

    assert isinstance(found, TestResult) == isinstance(mirrored, TestResult)
    if isinstance(found, TestResult) and isinstance(mirrored, TestResult):
        assert 0 <= found.p_value <= 1
        assert math.isclose(found.p_value, mirrored.p_value, rel_tol=1e-9, abs_tol=1e-12)


@given(st.lists(strata(), min_size=1, max_size=6))
def test_the_chi_square_is_the_hypergeometric_one(rows: list[Stratum]) -> None:
    above = variance = 0.0
    for row in rows:
        n1, n2, events = row.n_treatment, row.n_control, row.x_treatment + row.x_control
        n = n1 + n2
        if min(n1, n2) > 0:
            above += row.x_treatment - events * n1 / n
            variance += n1 * n2 * events * (n - events) / (n * n * (n - 1))
    assume(variance > 0)
    found = cochran_mantel_haenszel(rows)

    assert isinstance(found, TestResult)
    assert math.isclose(found.statistic, above**2 / variance, rel_tol=1e-9, abs_tol=1e-12)


def test_a_ramp_over_drifting_days_keeps_its_level() -> None:
    generator = np.random.default_rng(5)
    shares, rates, units = np.array([0.01, 0.05, 0.25, 0.5]), np.array([0.9, 0.87, 0.83, 0.8]), 5_000
    harmed = 0
    for _ in range(1_000):
        n1 = generator.binomial(units, shares)
        x1, x2 = generator.binomial(n1, rates), generator.binomial(units - n1, rates)
        rows = [Stratum(*row) for row in zip(*(a.tolist() for a in (x1, n1, x2, units - n1)), strict=True)]
        found = mantel_haenszel_difference(rows, alternative="less")
        assert isinstance(found, MantelHaenszel)
        harmed += found.difference.p_value < 0.05

    assert 0.03 < harmed / 1_000 < 0.07


def test_what_cannot_be_told_is_said() -> None:
    assert isinstance(mantel_haenszel_difference([]), NotEstimable)
    assert isinstance(mantel_haenszel_difference([Stratum(0, 0, 1, 2)]), NotEstimable)
    assert isinstance(mantel_haenszel_difference([Stratum(0, 5, 0, 7)]), NotEstimable)
    assert isinstance(cochran_mantel_haenszel([]), NotEstimable)
    assert cochran_mantel_haenszel([Stratum(0, 5, 0, 7)]).p_value == 1  # type: ignore[union-attr]


def test_bad_input_is_named_with_its_rule() -> None:
    with pytest.raises(ValueError, match="x_treatment == 6, must be <= 5"):
        Stratum(6, 5, 0, 1)
    with pytest.raises(ValueError, match="n_control == -1, must be >= 0"):
        Stratum(0, 5, 0, -1)
    with pytest.raises(ValueError, match=r"level == 0, must be in \(0, 1\)"):
        mantel_haenszel_difference([Stratum(1, 5, 2, 5)], level=0)
