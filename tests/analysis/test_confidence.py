"""Confidence sequences: never at odds with the e-values that they come from."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.confidence import (
    VIOLATED,
    bernoulli_confidence_sequence,
    confidence_sequence,
    confidence_sequences,
    intersect,
    log_e_bernoulli,
    running_intersection,
)
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.result import Estimate, NotEstimable

values = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1).map(lambda x: round(x, 2)))
states = st.dictionaries(values, st.integers(1, 2000), min_size=1, max_size=12).map(DifferenceCounts.of_counts)
alphas = st.floats(0.001, 0.5)


@given(states, alphas)
def test_the_estimate_lies_inside(state: DifferenceCounts, alpha: float) -> None:
    found = confidence_sequence(state, alpha)

    assert isinstance(found, Estimate)
    assert -1 <= found.lower <= found.value <= found.upper <= 1
    assert found.lower < found.upper


@given(states, alphas, st.floats(-0.99, 0.99))
def test_a_mean_is_outside_exactly_when_an_e_process_rejects_it(
    state: DifferenceCounts, alpha: float, null: float
) -> None:
    found = confidence_sequence(state, alpha)
    evidence = max(log_e_harm(state, null), log_e_noninferior(state, null))
    assume(abs(evidence - math.log(2 / alpha)) > 1e-6)

    assert isinstance(found, Estimate)
    assert (not found.lower <= null <= found.upper) == (evidence > math.log(2 / alpha))


@given(st.lists(st.one_of(states, st.just(DifferenceCounts())), max_size=6), alphas)
def test_many_states_have_the_bits_of_each(many: list[DifferenceCounts], alpha: float) -> None:
    assert confidence_sequences(many, alpha) == [confidence_sequence(state, alpha) for state in many]


@given(states, alphas, alphas)
def test_a_smaller_alpha_gives_a_wider_interval(state: DifferenceCounts, one: float, two: float) -> None:
    wide, narrow = (confidence_sequence(state, alpha) for alpha in sorted((one, two)))

    assert isinstance(wide, Estimate)
    assert isinstance(narrow, Estimate)
    assert wide.lower <= narrow.lower + 1e-12
    assert wide.upper >= narrow.upper - 1e-12


@pytest.mark.parametrize(
    ("ltw", "lower", "upper"),
    [
        ((0, 0, 10**6), None, 1.0),
        ((10**6, 0, 0), -1.0, None),
        ((0, 0, 1), None, 1.0),
        ((1, 0, 0), -1.0, None),
        ((0, 10**7, 0), None, None),
    ],
)
def test_one_sided_data_leave_that_end_at_its_bound(
    ltw: tuple[int, int, int], lower: float | None, upper: float | None
) -> None:
    found = confidence_sequence(DifferenceCounts.from_ltw(*ltw), 0.05)

    assert isinstance(found, Estimate)
    assert lower is None or found.lower == lower
    assert upper is None or found.upper == upper
    if sum(ltw) > 10:
        assert max(found.upper - found.value, found.value - found.lower) < 0.01


def test_without_an_observation_there_is_no_estimate() -> None:
    assert confidence_sequence(DifferenceCounts(), 0.05) == NotEstimable("no observation yet")


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, math.nan])
def test_an_alpha_that_is_no_error_rate_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"alpha == {alpha}"):
        confidence_sequence(DifferenceCounts(), alpha)


# --- one arm's probability ---


@given(st.integers(1, 12), st.floats(0.02, 0.98), st.floats(1, 500))
def test_the_expectation_of_the_beta_binomial_mixture_is_one(n: int, p: float, t_opt: float) -> None:
    wins = np.arange(n + 1)

    expectation = np.sum(binom.pmf(wins, n, p) * np.exp(log_e_bernoulli(wins, n, p, t_opt)))

    assert float(expectation) == pytest.approx(1, abs=1e-9)


@given(st.integers(1, 10**6), st.floats(0, 1), alphas, st.floats(0.001, 0.999))
def test_a_probability_is_outside_exactly_when_the_mixture_rejects_it(
    n: int, share: float, alpha: float, null: float
) -> None:
    wins = round(n * share)
    found = bernoulli_confidence_sequence(wins, n, alpha, t_opt=1000)
    evidence = float(log_e_bernoulli(wins, n, null, t_opt=1000))
    assume(abs(evidence + math.log(alpha)) > 1e-5)

    assert isinstance(found, Estimate)
    assert 0 <= found.lower <= found.value <= found.upper <= 1
    assert (not found.lower <= null <= found.upper) == (evidence > -math.log(alpha))


@given(st.integers(1, 10**7), st.floats(0, 1), alphas)
def test_successes_and_failures_are_mirror_images(n: int, share: float, alpha: float) -> None:
    wins = round(n * share)
    found, mirrored = (bernoulli_confidence_sequence(k, n, alpha, t_opt=100) for k in (wins, n - wins))

    assert isinstance(found, Estimate)
    assert isinstance(mirrored, Estimate)
    assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)


def test_of_no_unit_there_is_no_probability() -> None:
    assert bernoulli_confidence_sequence(0, 0, 0.05, t_opt=100) == NotEstimable("no observation yet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 2, 0.05, 100), "successes == 3, must be <= 2"),
        ((-1, 2, 0.05, 100), "successes == -1"),
        ((1, -2, 0.05, 100), "n == -2"),
        ((1, 2, 1.05, 100), "alpha == 1.05"),
        ((1, 2, 0.05, 0), "t_opt == 0"),
        ((1, 2, 0.05, 100, 0.0), "alpha_opt == 0.0"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bernoulli_confidence_sequence(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("wins", "n", "null"), [(3, 2, 0.5), (-1, 2, 0.5), (1, 2, 0.0), (1, 2, 1.0)])
def test_an_impossible_mixture_is_refused(wins: int, n: int, null: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        log_e_bernoulli(wins, n, null, t_opt=100)


# --- running intersection ---


def _look(lower: float, upper: float) -> Estimate:
    return Estimate((lower + upper) / 2, lower, upper, 0.95, 10, "cs")


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(lambda x: _look(*sorted(x))), min_size=1))
def test_the_running_intersection_only_shrinks_and_stays_empty_once_it_is(looks: list[Estimate]) -> None:
    lower, upper = max(look.lower for look in looks), min(look.upper for look in looks)

    found = running_intersection(looks)

    if lower > upper:
        assert found == NotEstimable(VIOLATED)
        assert intersect(found, _look(-1, 1)) == NotEstimable(VIOLATED)
    else:
        assert isinstance(found, Estimate)
        assert (found.lower, found.upper, found.value) == (lower, upper, looks[-1].value)


def test_a_look_without_an_estimate_takes_nothing_back() -> None:
    missing = NotEstimable("no observation yet")

    assert intersect(None, missing) == missing
    assert intersect(missing, _look(0, 1)) == _look(0, 1)
    assert intersect(_look(0, 1), missing) == _look(0, 1)
    assert running_intersection([]) == NotEstimable("no look yet")
