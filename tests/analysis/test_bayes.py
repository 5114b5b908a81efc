"""Posteriors for display: against closed forms, quadrature by scipy and draws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from analysis.bayes import beta_binomial_posterior, paired_posterior

counts = st.integers(0, 2000)


def test_a_paired_posterior_agrees_with_draws() -> None:
    found = paired_posterior(12, 300, 4, margin=0.01)
    drawn = np.random.default_rng(1).dirichlet([13, 301, 5], 400_000)
    difference = drawn[:, 2] - drawn[:, 0]

    assert found.probability == pytest.approx(np.mean(difference > -0.01), abs=0.004)
    assert (found.lower, found.upper) == pytest.approx(np.quantile(difference, [0.025, 0.975]).tolist(), abs=3e-4)
    assert found.value == pytest.approx(difference.mean(), abs=1e-4)


@pytest.mark.parametrize(("control", "treatment"), [((85, 100), (83, 90)), ((2, 3), (400, 900)), ((0, 5000), (3, 20))])
def test_the_probability_of_being_better_agrees_with_quadrature(control, treatment) -> None:
    first, second = (beta(1 + s, 1 + n - s) for s, n in (control, treatment))
    wanted, _ = quad(
        lambda x: second.pdf(x) * first.cdf(x), second.ppf(1e-15), second.isf(1e-15), epsabs=1e-12, limit=500
    )

    assert beta_binomial_posterior(control, treatment).probability == pytest.approx(wanted, abs=1e-8)


@given(losses=counts, ties=counts, wins=counts, prior=st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=15, deadline=None)
def test_swapping_losses_and_wins_mirrors_the_posterior(losses: int, ties: int, wins: int, prior: float) -> None:
    there = paired_posterior(losses, ties, wins, prior=(prior, prior, prior))
    back = paired_posterior(wins, ties, losses, prior=(prior, prior, prior))

    assert there.probability == pytest.approx(1 - back.probability, abs=1e-7)
    assert there.value == pytest.approx(-back.value)
    assert there.lower == pytest.approx(-back.upper, abs=1e-6)
    assert there.lower <= there.value <= there.upper


@given(successes=st.tuples(counts, counts), more=st.tuples(counts, counts))
@settings(max_examples=15, deadline=None)
def test_swapping_the_arms_mirrors_the_posterior(successes, more) -> None:
    control, treatment = ((s, s + m) for s, m in zip(successes, more, strict=True))
    there, back = beta_binomial_posterior(control, treatment), beta_binomial_posterior(treatment, control)

    assert there.probability == pytest.approx(1 - back.probability, abs=1e-7)
    assert there.lower == pytest.approx(-back.upper, abs=1e-6)
    assert there.lower <= there.value <= there.upper


@given(losses=counts, ties=counts, wins=counts)
@settings(max_examples=12, deadline=None)
def test_a_larger_margin_is_easier_to_meet(losses: int, ties: int, wins: int) -> None:
    found = [paired_posterior(losses, ties, wins, margin).probability for margin in (0.0, 0.01, 0.1, 0.5)]

    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(found))


def test_without_data_the_prior_speaks() -> None:
    assert paired_posterior(0, 0, 0).probability == pytest.approx(0.5)
    assert beta_binomial_posterior((0, 0), (0, 0)).probability == pytest.approx(0.5)
    # For two uniform rates P(difference > -m) = 1 - (1 - m)^2 / 2.
    assert beta_binomial_posterior((0, 0), (0, 0), margin=0.3).probability == pytest.approx(1 - 0.7**2 / 2, abs=1e-9)


def test_ten_million_pairs_are_no_problem() -> None:
    found = paired_posterior(300_000, 9_400_000, 300_000, margin=0.001)

    assert found.probability == pytest.approx(1)
    assert found.upper == pytest.approx(1.96 * np.sqrt(0.06 / 1e7), rel=1e-3)


def test_it_says_that_no_action_follows() -> None:
    assert any("no action" in line for line in paired_posterior(1, 2, 3).assumptions)
    assert any("no action" in line for line in beta_binomial_posterior((1, 2), (2, 3)).assumptions)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_posterior(-1, 0, 0), "losses == -1, must be >= 0"),
        (lambda: paired_posterior(1, 0, 0, margin=1.0), r"margin == 1.0, must be in \[0, 1\)"),
        (lambda: paired_posterior(1, 0, 0, prior=(0.0, 1.0, 1.0)), "prior == 0.0, must be > 0"),
        (lambda: beta_binomial_posterior((3, 2), (1, 2)), "control successes == 3, must be <= 2"),
        (lambda: beta_binomial_posterior((1, 2), (1, 2), level=1.0), r"level == 1.0, must be in \(0, 1\)"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
