"""The event-coin e-process: exact for rare events under any ramp."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.betting import Side, log_mean_exp
from analysis.event_coin import (
    RELATIVE_RISKS,
    EventCoin,
    log_e_event,
    log_e_event_counts,
    log_e_event_many,
    log_event_capitals,
)

propensities = st.sampled_from([0.01, 0.05, 0.1, 0.25, 0.5, 0.99])
events = st.lists(st.tuples(propensities, st.integers(0, 1)), max_size=60)
risks = st.floats(0.2, 5)
sides = st.sampled_from(["harm", "noninferiority"])


def _expectation(stages: list[float], rr0: float, rr: float, side: Side) -> float:
    """Over all arms of one event a stage, with the true relative risk rr."""
    total = 0.0
    for arms in itertools.product((0, 1), repeat=len(stages)):
        heads = [p * rr / (p * rr + 1 - p) for p in stages]
        chance = math.prod(h if arm else 1 - h for h, arm in zip(heads, arms, strict=True))
        log_e = log_e_event(EventCoin.of(zip(stages, arms, strict=True)), rr0, side=side)
        total += chance * math.exp(log_e)
    return total


@given(st.lists(propensities, max_size=5), risks, sides)
def test_the_expectation_at_the_null_is_one_under_any_ramp(stages: list[float], rr0: float, side: Side) -> None:
    assert _expectation(stages, rr0, rr0, side) == pytest.approx(1, abs=1e-9)


@given(st.lists(propensities, max_size=4), risks, st.floats(0.1, 1))
def test_inside_of_the_null_the_expectation_is_one_at_most(stages: list[float], rr0: float, factor: float) -> None:
    assert _expectation(stages, rr0, rr0 * factor, "harm") <= 1 + 1e-9
    assert _expectation(stages, rr0, rr0 / factor, "noninferiority") <= 1 + 1e-9


@given(events, st.randoms(use_true_random=False), risks, sides)
def test_neither_the_order_nor_the_shards_change_a_bit(
    seen: list[tuple[float, int]], random: object, rr0: float, side: Side
) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    shards = [EventCoin.of(shuffled[i::3]) for i in range(3)]

    whole = EventCoin.of(seen)

    assert shards[2].merge(shards[0]).merge(shards[1]) == whole
    assert log_e_event(shards[0].merge(shards[1].merge(shards[2])), rr0, side=side) == log_e_event(
        whole, rr0, side=side
    )


@given(events)
def test_arrays_are_counted_like_a_list_and_come_back_from_json(seen: list[tuple[float, int]]) -> None:
    state = EventCoin.of(seen)

    assert EventCoin.of_arrays([p for p, _ in seen], [arm for _, arm in seen]) == state
    assert EventCoin.from_dict(json.loads(json.dumps(state.to_dict()))) == state
    assert state.n == len(seen)


@given(st.lists(events.map(EventCoin.of), max_size=5), risks, sides)
def test_many_states_have_the_bits_of_each(states: list[EventCoin], rr0: float, side: Side) -> None:
    found = log_e_event_many(states, rr0, side=side)

    assert found.tolist() == [log_e_event(state, rr0, side=side) for state in states]


@given(st.lists(st.tuples(propensities, st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=4), risks, sides)
def test_stages_add_up_bet_by_bet(stages: list[tuple[float, int, int]], rr0: float, side: Side) -> None:
    propensity, control, treatment = (np.array(x, dtype=np.float64) for x in zip(*stages, strict=True))
    state = EventCoin.of(
        [(p, 0) for p, n, _ in stages for _ in range(n)] + [(p, 1) for p, _, n in stages for _ in range(n)]
    )
    capitals = [
        log_event_capitals(*stage, rr0, side=side) for stage in zip(control, treatment, propensity, strict=True)
    ]

    expected = pytest.approx(log_e_event(state, rr0, side=side), rel=1e-9, abs=1e-9)

    assert float(log_mean_exp(np.sum(capitals, axis=0))) == expected
    for axis in (0, -1):
        assert float(log_e_event_counts(control, treatment, propensity, rr0, side=side, stage_axis=axis)) == expected


def test_the_stage_axis_may_be_any_of_several() -> None:
    control, treatment = np.arange(24.0).reshape(2, 3, 4), np.arange(24.0)[::-1].reshape(2, 3, 4)
    propensity = np.array([0.1, 0.2, 0.5])

    found = log_e_event_counts(control, treatment, propensity[:, None], stage_axis=1)

    assert found.shape == (2, 4)
    for index in np.ndindex(2, 4):
        stages = (control[index[0], :, index[1]], treatment[index[0], :, index[1]])
        assert found[index] == log_e_event_counts(*stages, propensity, stage_axis=0)


def test_the_product_of_likelihood_ratios_is_what_is_computed() -> None:
    expected = 0.0
    for rr in 1.5 * RELATIVE_RISKS:
        null, bold = (0.1 * r / (0.1 * r + 0.9) for r in (1.5, rr))
        expected += (bold / null) ** 6 * ((1 - bold) / (1 - null)) ** 4 / len(RELATIVE_RISKS)

    assert float(log_e_event_counts(4, 6, 0.1, 1.5)) == pytest.approx(math.log(expected))


@given(st.integers(0, 500), st.integers(0, 500), propensities, risks, risks)
def test_evidence_is_monotone_in_the_accepted_risk(
    control: int, treatment: int, propensity: float, one: float, two: float
) -> None:
    low, high = sorted((one, two))
    harm = log_e_event_counts(control, treatment, propensity, [low, high])
    safe = log_e_event_counts(control, treatment, propensity, [low, high], side="noninferiority")

    assert harm[0] >= harm[1] - 1e-9
    assert safe[0] <= safe[1] + 1e-9


@pytest.mark.parametrize("propensity", [1e-6, 0.01, 0.5, 0.99])
def test_nothing_overflows_and_nothing_is_nan(propensity: float) -> None:
    counts = np.array([0, 1, 10**7])

    for rr0 in (0.01, 1, 100):
        assert np.all(np.isfinite(log_e_event_counts(counts[:, None], counts, propensity, rr0)))
    assert log_e_event(EventCoin()) == 0.0


@pytest.mark.parametrize(
    ("event", "message"),
    [((0.0, 1), "propensity == 0.0"), ((1.0, 0), "propensity == 1.0"), ((0.1, 2), "arm == 2")],
)
def test_a_bad_event_is_refused_by_name(event: tuple[float, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventCoin.of([event])
    with pytest.raises(ValueError, match=message):
        EventCoin.of_arrays(*([x] for x in event))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 0.1), "control_events == -1.0"),
        ((0, -2, 0.1), "treatment_events == -2.0"),
        ((0, 0, 0.0), "propensity == 0.0"),
        ((0, 0, 0.1, 0.0), "rr0 == 0.0"),
        ((0, 0, 0.1, math.inf), "rr0 == inf"),
        ((0, 0, 0.1, 1.0, np.array([1.5, 1.0])), "rr_grid == 1.0"),
        ((0, 0, 0.1, 1.0, RELATIVE_RISKS, "both"), "side == 'both'"),
    ],
)
def test_bad_input_is_refused_by_name(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        log_e_event_counts(*arguments)  # type: ignore[arg-type]


def test_numbers_of_numpy_fit_into_json_too() -> None:
    state = EventCoin.of_counts({(np.float64(0.1), np.int64(1)): np.int64(3)})  # type: ignore[dict-item]

    assert json.dumps(state.to_dict()) == '{"counts": [[0.1, 1, 3]]}'


def test_negative_counts_of_a_state_are_refused() -> None:
    with pytest.raises(ValueError, match="events == -1"):
        EventCoin.of_counts({(0.1, 1): -1})
