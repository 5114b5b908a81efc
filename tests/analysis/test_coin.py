"""The coin e-process on discordant pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binom

from analysis.coin import log_e_coin, log_e_coin_harm

thetas = st.floats(0.05, 0.95)
priors = st.floats(0.3, 20)


@given(st.integers(0, 12), priors, priors, thetas)
def test_the_expectation_at_the_null_is_one(n: int, a: float, b: float, theta: float) -> None:
    losses = np.arange(n + 1)
    chances = binom.pmf(losses, n, theta)

    for log_e in (log_e_coin, log_e_coin_harm):
        expectation = float(np.sum(chances * np.exp(log_e(losses, n - losses, a, b, theta))))
        assert expectation == pytest.approx(1, abs=1e-9)


@given(st.integers(0, 12), thetas)
def test_when_the_treatment_wins_more_the_one_sided_expectation_is_one_at_most(n: int, theta: float) -> None:
    losses = np.arange(n + 1)
    chances = binom.pmf(losses, n, theta / 2)

    assert np.sum(chances * np.exp(log_e_coin_harm(losses, n - losses, null_theta=theta))) <= 1 + 1e-12


@pytest.mark.parametrize(("losses", "wins"), [(10, 3000), (100, 20_000), (499, 2500)])
def test_a_tail_too_small_for_a_float_keeps_its_digits(losses: int, wins: int) -> None:
    def density(theta: float) -> float:
        return 2 * math.exp(losses * math.log(2 * theta) + wins * math.log(2 - 2 * theta))

    width = 3 / (wins - losses)
    area = math.fsum(quad(density, 0.5 + i * width, 0.5 + (i + 1) * width)[0] for i in range(15))

    assert float(log_e_coin_harm(losses, wins)) == pytest.approx(math.log(area), abs=1e-8)


def test_nothing_overflows_at_ten_million_pairs() -> None:
    counts = np.array([0, 1, 10**7])

    for log_e in (log_e_coin, log_e_coin_harm):
        assert np.all(np.isfinite(log_e(counts[:, None], counts)))
    assert log_e_coin(0, 0) == log_e_coin_harm(0, 0) == 0.0


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_one_more_loss_never_lowers_the_one_sided_evidence(losses: int, wins: int) -> None:
    assert log_e_coin_harm(losses + 1, wins) >= log_e_coin_harm(losses, wins) - 1e-8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0), "losses == -1.0"),
        ((0, math.nan), "wins == nan"),
        ((0, 0, 0.0), "beta_a == 0.0"),
        ((0, 0, 1.0, -1.0), "beta_b == -1.0"),
        ((0, 0, 1.0, 1.0, 1.0), "null_theta == 1.0"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_e_coin(*arguments)
