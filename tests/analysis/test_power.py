"""Sample sizes: published figures, and inverses that agree with each other and with the tests they plan."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.paired import tango_z
from analysis.power import (
    SampleSize,
    paired_harm_power,
    paired_harm_sample_size,
    paired_minimum_detectable_harm,
    paired_noninferiority_power,
    paired_noninferiority_sample_size,
    paired_smallest_margin,
    split_discordance,
    unpaired_noninferiority_power,
    unpaired_noninferiority_sample_size,
)
from analysis.proportions import score_statistic
from analysis.restricted_rates import restricted_rates
from analysis.result import NotEstimable

levels = st.floats(0.005, 0.1)
powers = st.floats(0.5, 0.99)


# The project's design document, section 1.8.
@pytest.mark.parametrize(
    ("discordance", "harm", "n80", "n90"),
    [(0.06, 0.01, 3707, 5135), (0.06, 0.02, 925, 1281), (0.10, 0.02, 1544, 2137), (0.10, 0.05, 245, 339)],
)
def test_pairs_for_a_harm_are_connors(discordance: float, harm: float, n80: int, n90: int) -> None:
    losses, wins = split_discordance(discordance, harm)

    assert paired_harm_sample_size(losses, wins, 0.05, 0.8).exact == pytest.approx(n80, abs=0.6)
    assert paired_harm_sample_size(losses, wins, 0.05, 0.9).exact == pytest.approx(n90, abs=0.6)


@pytest.mark.parametrize(
    ("discordance", "margin", "n80", "n90"),
    [(0.06, 0.02, 981, 1348), (0.06, 0.01, 3768, 5207), (0.10, 0.02, 1577, 2178)],
)
def test_pairs_for_noninferiority_are_those_of_tangos_test(
    discordance: float, margin: float, n80: int, n90: int
) -> None:
    half = discordance / 2

    assert paired_noninferiority_sample_size(half, half, margin, 0.05, 0.8).exact == pytest.approx(n80, abs=0.6)
    assert paired_noninferiority_sample_size(half, half, margin, 0.05, 0.9).exact == pytest.approx(n90, abs=0.6)


def test_the_planned_power_is_what_the_test_has() -> None:
    n = paired_noninferiority_sample_size(0.03, 0.03, 0.02, 0.05, 0.9).n
    pairs = np.random.default_rng(3).multinomial(n, [0.03, 0.03, 0.94], size=4000)
    passed = [tango_z(int(wins), int(losses), n, -0.02) >= 1.6449 for losses, wins, _ in pairs]

    assert np.mean(passed) == pytest.approx(0.9, abs=0.02)


@given(loss=st.floats(0.01, 0.3), win=st.floats(0.0, 0.3), alpha=levels, power=powers)
@settings(max_examples=60)
def test_power_is_the_inverse_of_the_sample_size_for_harm(loss, win, alpha, power) -> None:
    assume(loss - win > 1e-3)
    found = paired_harm_sample_size(loss, win, alpha, power)

    assert isinstance(found, SampleSize)
    assert paired_harm_power(found.n, loss, win, alpha) >= power - 1e-9
    if found.n > 1:
        assert paired_harm_power(found.n - 1, loss, win, alpha) <= power + 1e-9


@given(loss=st.floats(0.0, 0.3), win=st.floats(0.0, 0.3), margin=st.floats(0.01, 0.5), alpha=levels, power=powers)
@settings(max_examples=60)
def test_power_is_the_inverse_of_the_sample_size_for_noninferiority(loss, win, margin, alpha, power) -> None:
    assume(win - loss + margin > 1e-3)
    found = paired_noninferiority_sample_size(loss, win, margin, alpha, power)

    assert isinstance(found, SampleSize)
    assert paired_noninferiority_power(found.n, loss, win, margin, alpha) >= power - 1e-9


@given(treatment=st.floats(0.05, 0.95), ratio=st.floats(0.2, 5), margin=st.floats(0.02, 0.3), power=powers)
@settings(max_examples=60)
def test_power_is_the_inverse_of_the_sample_size_for_two_arms(treatment, ratio, margin, power) -> None:
    assume(treatment - 0.6 + margin > 1e-3)
    found = unpaired_noninferiority_sample_size(treatment, 0.6, margin, 0.025, power, ratio)

    assert isinstance(found, SampleSize)
    assert unpaired_noninferiority_power(found.n, treatment, 0.6, margin, 0.025, ratio) >= power - 1e-9


@given(n=st.integers(20, 10_000), discordance=st.floats(0, 1), tolerance=st.floats(0, 0.2))
@settings(max_examples=60)
def test_the_detectable_harm_shrinks_with_more_pairs_and_is_found_with_the_power(n, discordance, tolerance) -> None:
    few = paired_minimum_detectable_harm(n, discordance, tolerance=tolerance)
    assume(isinstance(few, float))
    many = paired_minimum_detectable_harm(2 * n, discordance, tolerance=tolerance)

    assert isinstance(many, float)
    assert tolerance <= many <= few
    if few > tolerance + 1e-9:
        losses, wins = split_discordance(discordance, few)
        assert paired_harm_power(n, losses, wins, tolerance=tolerance) == pytest.approx(0.8, abs=1e-4)


def test_the_smallest_margin_is_the_inverse_of_the_sample_size() -> None:
    n = paired_noninferiority_sample_size(0.03, 0.03, 0.02, 0.05, 0.9).n

    assert paired_smallest_margin(n, 0.03, 0.03, 0.05, 0.9) == pytest.approx(0.02, abs=1e-5)


def test_without_discordance_the_smallest_margin_is_where_the_score_test_passes() -> None:
    z2 = 1.959963984540054**2

    assert paired_smallest_margin(1000, 0.0, 0.0) == pytest.approx(z2 / (1000 + z2), rel=1e-6)


def test_larger_margins_need_fewer_units() -> None:
    sizes = [unpaired_noninferiority_sample_size(0.85, 0.85, m).exact for m in (0.02, 0.05, 0.1, 0.3)]

    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("control", "treatment", "margin", "ratio"),
    [(0.9, 0.87, 0.05, 1.0), (0.01, 0.01, 0.3, 1.0), (0.998, 0.999, 0.02, 1.0), (0.8, 0.9, 0.05, 4.0)],
)
def test_the_rates_under_the_null_hypothesis_are_those_of_the_score_test(control, treatment, margin, ratio) -> None:
    n, m = 1000, round(1000 * ratio)
    first, second = restricted_rates(round(treatment * n), n, round(control * m), m, -margin)
    variance = first * (1 - first) + second * (1 - second) / ratio
    # With half power only the null variance counts: n gap^2 = z^2 variance.
    found = unpaired_noninferiority_sample_size(treatment, control, margin, 0.025, 0.5, ratio)

    assert isinstance(found, SampleSize)
    assert found.exact == pytest.approx(1.959964**2 * variance / (treatment - control + margin) ** 2, rel=1e-5)


@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_the_planned_power_of_two_arms_is_what_the_test_has(ratio: float) -> None:
    found = unpaired_noninferiority_sample_size(0.85, 0.82, 0.05, 0.025, 0.9, ratio)
    assert isinstance(found, SampleSize)
    n, m = found.n, round(found.n * ratio)
    rng = np.random.default_rng(8)
    passed = [
        score_statistic(int(x), n, int(y), m, -0.05) >= 1.96
        for x, y in zip(rng.binomial(n, 0.85, 3000), rng.binomial(m, 0.82, 3000), strict=True)
    ]

    assert np.mean(passed) == pytest.approx(0.9, abs=0.025)


def test_a_treatment_that_is_worse_than_the_margin_needs_no_number_but_a_reason() -> None:
    for found in (
        paired_noninferiority_sample_size(0.05, 0.01, 0.02),
        paired_noninferiority_power(100, 0.05, 0.01, 0.02),
        unpaired_noninferiority_sample_size(0.8, 0.9, 0.05),
        paired_harm_sample_size(0.02, 0.04),
        paired_harm_power(100, 0.03, 0.02, tolerance=0.02),
        paired_minimum_detectable_harm(0, 0.06),
        paired_smallest_margin(0, 0.1, 0.1),
    ):
        assert isinstance(found, NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_harm_sample_size(-0.1, 0.0), r"p_loss == -0.1, must be in \[0, 1\]"),
        (lambda: paired_harm_sample_size(0.7, 0.7), r"p_loss \+ p_win == 1.4, must be <= 1"),
        (lambda: paired_harm_sample_size(0.1, 0.0, tolerance=1.0), r"tolerance == 1.0, must be in \[0, 1\)"),
        (lambda: paired_noninferiority_sample_size(0.1, 0.1, 0.0), r"margin == 0.0, must be in \(0, 1\)"),
        (lambda: paired_noninferiority_sample_size(0.1, 0.1, 0.1, 0.5, 0.3), "power == 0.3, must be > alpha"),
        (lambda: unpaired_noninferiority_sample_size(0.8, 0.8, 0.1, ratio=0), "ratio == 0, must be > 0"),
        (lambda: paired_harm_power(-1, 0.2, 0.1), "n == -1, must be >= 0"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
