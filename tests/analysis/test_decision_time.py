"""How long the e-process takes: against the project's simulated figures, and against a simulation made here."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.decision_time import (
    TimeToDecision,
    decision_probability,
    expected_time_to_decision,
    oracle_time,
)
from analysis.eprocess import log_e_ltw
from analysis.power import split_discordance
from analysis.result import NotEstimable


def _harm(discordance: float, harm: float, tolerance: float = 0.0, alpha: float = 0.05) -> TimeToDecision:
    losses, wins = split_discordance(discordance, harm)
    found = expected_time_to_decision(losses, wins, alpha, -tolerance, look_every=100)
    assert isinstance(found, TimeToDecision)
    return found


# Simulated means and medians of the project's design document, section 1.8, looks every 100 pairs.
@pytest.mark.parametrize(
    ("discordance", "harm", "tolerance", "median", "mean"),
    [
        (0.06, 0.01, 0.0, 4300, 5009),
        (0.06, 0.02, 0.0, 1200, 1342),
        (0.10, 0.02, 0.0, 1900, 2179),
        (0.10, 0.05, 0.0, 400, 415),
        (0.06, 0.03, 0.01, 1200, 1309),
    ],
)
def test_the_time_to_see_a_harm_is_the_simulated_one(discordance, harm, tolerance, median, mean) -> None:
    found = _harm(discordance, harm, tolerance)

    assert found.median == pytest.approx(median, rel=0.09)
    assert found.mean == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(
    ("discordance", "margin", "median", "mean"),
    [(0.06, 0.02, 1250, 1397), (0.06, 0.01, 4600, 5193), (0.10, 0.02, 1850, 2118)],
)
def test_the_time_to_rule_a_margin_out_is_the_simulated_one(discordance, margin, median, mean) -> None:
    half = discordance / 2
    found = expected_time_to_decision(half, half, 0.05, -margin, "noninferiority", look_every=50)

    assert isinstance(found, TimeToDecision)
    assert found.median == pytest.approx(median, rel=0.06)
    assert found.mean == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize(("times", "probability"), [(1, 0.585), (2, 0.919), (3, 0.989)])
def test_the_power_over_time_is_the_simulated_one(times: int, probability: float) -> None:
    assert decision_probability(1281 * times, 0.04, 0.02, 0.05, look_every=50) == pytest.approx(probability, abs=0.02)


@pytest.mark.parametrize("discordance", [0.02, 0.06, 0.20])
def test_the_false_alarms_are_the_simulated_two_per_cent_and_below_alpha(discordance: float) -> None:
    half = discordance / 2

    assert decision_probability(20_000, half, half, 0.05, look_every=100) == pytest.approx(0.0225, abs=0.005)


def test_a_simulation_of_the_e_process_itself_agrees() -> None:
    looks, replicates = np.arange(1, 61) * 50, 2000
    pairs = np.random.default_rng(11).multinomial(50, [0.05, 0.03, 0.92], size=(replicates, 60)).cumsum(axis=1)
    crossed = log_e_ltw(pairs[..., 0], pairs[..., 2], pairs[..., 1], -0.005, "harm") >= math.log(20)
    decided = np.maximum.accumulate(crossed, axis=1).mean(axis=0)

    for index in (9, 29, 59):
        found = decision_probability(int(looks[index]), 0.05, 0.03, 0.05, -0.005, look_every=50)
        assert found == pytest.approx(decided[index], abs=0.04)


def test_the_oracle_is_walds() -> None:
    found = oracle_time(0.04, 0.02, 0.05)
    share = 2 / 3
    divergence = share * math.log(2 * share) + (1 - share) * math.log(2 * (1 - share))

    assert found.growth_per_discordant == pytest.approx(divergence)
    assert found.units == pytest.approx(math.log(20) / (0.06 * divergence))
    assert oracle_time(0.04, 0.0, 0.05).growth_per_discordant == pytest.approx(math.log(2))


@given(
    loss=st.floats(0.02, 0.4),
    win=st.floats(0.0, 0.4),
    null=st.floats(-0.1, 0.1),
    side=st.sampled_from(["harm", "noninferiority"]),
)
@settings(max_examples=40, deadline=None)
def test_the_grid_grows_no_faster_than_the_oracle_and_takes_no_less_time(loss, win, null, side) -> None:
    found = expected_time_to_decision(loss, win, 0.05, null, side)
    inside = win - loss >= null if side == "harm" else win - loss <= null
    if isinstance(found, NotEstimable):
        assert inside or abs(win - loss - null) < 0.02
        return

    assert not inside
    assert 0 < found.grid_growth <= found.oracle.growth * (1 + 1e-9)
    assert 0 < found.median <= found.ninetieth
    assert found.mean >= 0.9 * found.oracle.units


def test_smaller_alphas_and_smaller_harms_take_longer() -> None:
    assert _harm(0.06, 0.02, alpha=0.01).mean > 1.2 * _harm(0.06, 0.02).mean
    assert _harm(0.06, 0.01).mean > 3 * _harm(0.06, 0.02).mean


@given(n=st.integers(100, 5000), loss=st.floats(0.01, 0.2), win=st.floats(0.01, 0.2))
@settings(max_examples=20, deadline=None)
def test_decisions_become_no_less_likely_with_time(n, loss, win) -> None:
    early = decision_probability(n, loss, win, 0.05, look_every=100)

    assert 0 <= early <= 1
    assert decision_probability(2 * n, loss, win, 0.05, look_every=100) >= early - 0.02


def test_without_any_discordance_the_path_is_a_line() -> None:
    found = expected_time_to_decision(0.0, 0.0, 0.05, -0.02, "noninferiority")

    assert isinstance(found, TimeToDecision)
    assert found.mean == found.median == found.ninetieth
    n = int(found.median)
    assert decision_probability(n, 0.0, 0.0, 0.05, -0.02, "noninferiority") == 1
    assert decision_probability(n // 2, 0.0, 0.0, 0.05, -0.02, "noninferiority") == 0
    assert decision_probability(0, 0.0, 0.0, 0.05) == 0


def test_inside_the_null_hypothesis_and_next_to_it_there_is_no_time() -> None:
    inside = expected_time_to_decision(0.02, 0.04, 0.05)
    next_to_it = expected_time_to_decision(0.1005, 0.1, 0.05)

    assert isinstance(inside, NotEstimable)
    assert "inside the null hypothesis" in inside.reason
    assert isinstance(next_to_it, NotEstimable)
    assert "too close to the boundary" in next_to_it.reason


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: oracle_time(0.7, 0.7, 0.05), r"p_loss \+ p_win == 1.4, must be <= 1"),
        (lambda: oracle_time(0.2, 0.1, 0.05, 1.0), r"null_mean == 1.0, must be in \(-1, 1\)"),
        (lambda: oracle_time(0.2, 0.1, 0.05, 0.0, "gain"), "side == 'gain', must be"),
        (lambda: expected_time_to_decision(0.2, 0.1, 1.0), r"alpha == 1.0, must be in \(0, 1\)"),
        (lambda: expected_time_to_decision(0.2, 0.1, 0.05, look_every=0), "look_every == 0, must be > 0"),
        (lambda: decision_probability(-1, 0.2, 0.1, 0.05), "n == -1, must be >= 0"),
        (lambda: decision_probability(10, -0.2, 0.1, 0.05), r"p_loss == -0.2, must be in \[0, 1\]"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
