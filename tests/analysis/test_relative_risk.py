"""The confidence sequence of a relative risk."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.event_coin import EventCoin, log_e_event
from analysis.relative_risk import relative_risk_sequence, relative_risk_sequences
from analysis.result import Estimate, NotEstimable

propensities = st.sampled_from([0.01, 0.1, 0.5, 0.99])
states = st.dictionaries(st.tuples(propensities, st.integers(0, 1)), st.integers(1, 300), min_size=1).map(
    EventCoin.of_counts
)
alphas = st.floats(0.001, 0.5)


@given(states, alphas)
def test_the_estimate_lies_inside(state: EventCoin, alpha: float) -> None:
    found = relative_risk_sequence(state, alpha)

    assert isinstance(found, Estimate)
    assert found.lower <= found.value <= found.upper
    assert found.lower < found.upper
    assert not any(math.isnan(x) for x in (found.value, found.lower, found.upper))


@given(states, alphas, st.floats(-4, 4))
def test_a_risk_is_outside_exactly_when_an_e_process_rejects_it(state: EventCoin, alpha: float, log_rr: float) -> None:
    found, rr = relative_risk_sequence(state, alpha), math.exp(log_rr)
    evidence = max(log_e_event(state, rr), log_e_event(state, rr, side="noninferiority"))
    assume(abs(evidence - math.log(2 / alpha)) > 1e-6)

    assert isinstance(found, Estimate)
    assert (not found.lower <= rr <= found.upper) == (evidence > math.log(2 / alpha))


@given(st.lists(states, max_size=4), alphas)
def test_many_states_have_the_bits_of_each(many: list[EventCoin], alpha: float) -> None:
    assert relative_risk_sequences(many, alpha) == [relative_risk_sequence(state, alpha) for state in many]


def test_of_one_stage_the_estimate_is_the_ratio_of_rates() -> None:
    found = relative_risk_sequence(EventCoin.of_counts({(0.1, 1): 20, (0.1, 0): 60}), 0.05)

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx((20 / 0.1) / (60 / 0.9))


def test_the_estimate_of_stages_makes_the_expected_events_equal_to_the_seen() -> None:
    counts = {(0.01, 0): 200, (0.01, 1): 3, (0.25, 0): 70, (0.25, 1): 50, (0.5, 1): 9}

    found = relative_risk_sequence(EventCoin.of_counts(counts), 0.05)

    assert isinstance(found, Estimate)
    expected = sum(n * p * found.value / (p * found.value + 1 - p) for (p, _), n in counts.items())
    assert expected == pytest.approx(62)


def test_while_one_arm_has_no_event_that_end_is_open() -> None:
    only_treatment, only_control = (
        relative_risk_sequence(EventCoin.of_counts({(0.1, arm): 40}), 0.05) for arm in (1, 0)
    )

    assert isinstance(only_treatment, Estimate)
    assert isinstance(only_control, Estimate)
    assert only_treatment.value == only_treatment.upper == math.inf
    assert only_treatment.lower > 1
    assert only_control.value == only_control.lower == 0
    assert only_control.upper < 2


def test_without_an_event_there_is_no_estimate() -> None:
    assert relative_risk_sequence(EventCoin(), 0.05) == NotEstimable("no event yet")


def test_ten_million_events_give_a_narrow_interval() -> None:
    found = relative_risk_sequence(EventCoin.of_counts({(0.5, 0): 5_000_000, (0.5, 1): 5_000_000}), 0.05)

    assert isinstance(found, Estimate)
    np.testing.assert_allclose([found.lower, found.upper], 1, atol=0.1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0])
def test_an_alpha_that_is_no_error_rate_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"alpha == {alpha}"):
        relative_risk_sequence(EventCoin(), alpha)
