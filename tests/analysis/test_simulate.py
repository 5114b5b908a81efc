"""The draws have the laws that they claim, and the counters count."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from analysis.simulate import (
    ever,
    first_look,
    rate,
    simulate_arms,
    simulate_below,
    simulate_lognormal,
    simulate_pairs,
    simulate_users,
)


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def _close(sample: np.ndarray, mean: float, variance: float) -> bool:
    """Whether a sample's mean is within 4 standard errors of the truth, and its variance within 15 %."""
    near = abs(sample.mean() - mean) < 4 * math.sqrt(variance / sample.size)
    return near and abs(sample.var() / variance - 1) < 0.15


def test_the_same_seed_gives_the_same_draws() -> None:
    first, second = (simulate_pairs(_rng(7), 5, 4, 100, 0.04, 0.02) for _ in range(2))

    assert np.array_equal(first.losses, second.losses)
    assert np.array_equal(first.wins, second.wins)


@given(
    replicates=st.integers(1, 5),
    looks=st.integers(1, 8),
    pairs=st.integers(0, 50),
    loss=st.floats(0, 0.5),
    win=st.floats(0, 0.5),
)
def test_pairs_add_up_and_never_become_fewer(replicates: int, looks: int, pairs: int, loss: float, win: float) -> None:
    drawn = simulate_pairs(_rng(), replicates, looks, pairs, loss, win)

    assert np.array_equal(drawn.n, np.tile(np.arange(1, looks + 1) * pairs, (replicates, 1)))
    for counts in (drawn.losses, drawn.ties, drawn.wins):
        assert np.all(np.diff(counts, axis=1, prepend=0) >= 0)


def test_counts_of_pairs_are_binomial() -> None:
    drawn = simulate_pairs(_rng(), 4000, 3, 200, 0.04, 0.02)

    assert _close(drawn.losses[:, 0], 8, 200 * 0.04 * 0.96)
    assert _close(drawn.wins[:, 2], 12, 600 * 0.02 * 0.98)
    assert _close(drawn.losses[:, 2] - drawn.losses[:, 1], 8, 200 * 0.04 * 0.96)


def test_a_harm_can_begin_late() -> None:
    drawn = simulate_pairs(_rng(), 2000, 2, 500, loss=[0.03, 0.09], win=0.03)

    assert _close(drawn.losses[:, 0], 15, 500 * 0.03 * 0.97)
    assert _close(drawn.losses[:, 1] - drawn.losses[:, 0], 45, 500 * 0.09 * 0.91)


def test_units_are_assigned_at_random_with_each_looks_propensity() -> None:
    drawn = simulate_arms(_rng(), 4000, 1000, [0.05, 0.5], control_risk=0.1, treatment_risk=[0.1, 0.2])

    assert np.all(drawn.treated + drawn.control == 1000)
    assert _close(drawn.treated[:, 0], 50, 1000 * 0.05 * 0.95)
    assert _close(drawn.treated_events[:, 1], 100, 1000 * 0.1 * 0.9)
    assert _close(drawn.control_events[:, 0], 95, 1000 * 0.095 * 0.905)


def test_arms_are_cumulated_look_by_look() -> None:
    drawn = simulate_arms(_rng(), 3, 100, [0.1, 0.2, 0.3], 0.1, 0.1)
    treated, control, treated_events, control_events = drawn.cumulated()

    assert np.array_equal(treated + control, [[100, 200, 300]] * 3)
    assert np.array_equal(treated_events[:, -1], drawn.treated_events.sum(axis=1))
    assert np.array_equal(control_events[:, 0], drawn.control_events[:, 0])


def test_users_differ_but_have_no_effect_on_average() -> None:
    requests, discordance, spread = 20, 0.2, 0.25
    drawn = simulate_users(_rng(), 400, 200, requests, discordance, spread)
    difference = (drawn.wins - drawn.losses).ravel()

    # Var = n p, plus the covariance of two outcomes of one user: n (n - 1) p^2 spread.
    variance = requests * discordance + requests * (requests - 1) * discordance**2 * spread
    assert _close(difference, 0.0, variance)
    assert np.all(drawn.wins + drawn.losses <= requests)


def test_latencies_are_lognormal_with_median_1() -> None:
    drawn = simulate_lognormal(_rng(), 10, 500, sigma=1.5)

    assert kstest(np.log(drawn).ravel() / 1.5, "norm").pvalue > 0.001


def test_values_below_their_quantile_come_at_its_level() -> None:
    below = simulate_below(_rng(), 3000, 200, 0.95)

    assert _close(below[:, -1], 190, 200 * 0.95 * 0.05)
    assert set(np.unique(np.diff(below, axis=1))) <= {0, 1}


def test_the_first_look_is_the_first_that_is_true() -> None:
    crossed = np.array([[False, True, False, True], [True, True, True, True], [False] * 4])

    assert first_look(crossed).tolist() == [1, 0, 4]
    assert ever(crossed).tolist() == [True, True, False]


@given(hits=st.integers(0, 60), more=st.integers(0, 60))
def test_a_rate_has_clopper_pearson_limits(hits: int, more: int) -> None:
    n = hits + more
    if n == 0:
        return
    found = rate(np.arange(n) < hits)

    assert found.lower == pytest.approx(beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0, abs=1e-9)
    assert found.upper == pytest.approx(beta.ppf(0.975, hits + 1, n - hits) if more else 1.0, abs=1e-9)
    assert found.lower <= found.value <= found.upper


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_pairs(_rng(), -1, 1, 1, 0.1, 0.1), "replicates == -1, must be >= 0"),
        (lambda: simulate_pairs(_rng(), 1, 1, 1, 1.5, 0.1), r"loss == 1.5, must be in \[0, 1\]"),
        (lambda: simulate_pairs(_rng(), 1, 1, 1, 0.7, 0.7), r"loss \+ win == 1.4, must be <= 1"),
        (lambda: simulate_pairs(_rng(), 1, 1, 1, math.nan, 0.7), r"loss == nan, must be in \[0, 1\]"),
        (lambda: simulate_arms(_rng(), 1, -5, [0.1], 0.1, 0.1), "units_per_look == -5, must be >= 0"),
        (lambda: simulate_arms(_rng(), 1, 5, [0.1], -0.1, 0.1), r"control_risk == -0.1, must be in \[0, 1\]"),
        (lambda: simulate_users(_rng(), 1, 5, 5, 0.1, 1.0), r"spread == 1.0, must be in \(0, 1\)"),
        (lambda: simulate_users(_rng(), 1, 5, 5, 0.0, 0.5), r"discordance == 0.0, must be in \(0, 1\)"),
        (lambda: simulate_below(_rng(), 1, 5, 1.0), r"level == 1.0, must be in \(0, 1\)"),
        (lambda: simulate_lognormal(_rng(), 1, 5, 0.0), "sigma == 0.0, must be > 0"),
        (lambda: rate(np.array([], dtype=bool)), "at least one replicate"),
    ],
)
def test_bad_input_is_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
