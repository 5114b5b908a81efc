"""The AIPW betting e-process: a difference of means under ramps."""

import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.aipw import AipwCounts, aipw_confidence_sequences, log_e_aipw, log_e_aipw_many
from analysis.betting import Side
from analysis.confidence import VIOLATED
from analysis.result import Estimate, NotEstimable

propensities = st.sampled_from([0.01, 0.05, 0.25, 0.5, 0.99])
outcomes = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1).map(lambda x: round(x, 2)))
units = st.lists(st.tuples(propensities, st.integers(0, 1), outcomes), max_size=40)
states = units.map(lambda seen: AipwCounts().extend(*np.array(seen, dtype=np.float64).reshape(-1, 3).T))
nulls = st.floats(-0.9, 0.9)
sides = st.sampled_from(["harm", "noninferiority"])


def _state(seen: Sequence[tuple[float, int, float]], centre: float | None = None) -> AipwCounts:
    columns = np.array(seen, dtype=np.float64).reshape(-1, 3).T
    return AipwCounts(fixed_centre=centre).extend(*columns)


def _expectation(
    ramp: Sequence[float], base: Sequence[float], difference: float, null: float, side: Side, centre: float | None
) -> float:
    """Over all arms and outcomes of one unit a step, with a base rate that drifts."""
    total = 0.0
    for path in itertools.product(itertools.product((0, 1), (0, 1)), repeat=len(ramp)):
        chance, seen = 1.0, []
        for p, rate, (arm, outcome) in zip(ramp, base, path, strict=True):
            share = rate + difference * arm
            chance *= (p if arm else 1 - p) * (share if outcome else 1 - share)
            seen.append((p, arm, float(outcome)))
        total += chance * math.exp(log_e_aipw(_state(seen, centre), null, side))
    return total


@pytest.mark.parametrize("centre", [None, 0.0, 0.7])
@pytest.mark.parametrize("side", ["harm", "noninferiority"])
@pytest.mark.parametrize("difference", [0.0, -0.05, 0.1])
def test_the_expectation_at_the_null_is_one_under_a_ramp_with_a_drift(
    difference: float, side: Side, centre: float | None
) -> None:
    ramp, base = [0.01, 0.05, 0.25, 0.5], [0.9, 0.85, 0.8, 0.2]

    assert _expectation(ramp, base, difference, difference, side, centre) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("distance", [0.01, 0.3])
def test_inside_of_the_null_the_expectation_is_one_at_most(distance: float) -> None:
    ramp, base = [0.05, 0.5, 0.9], [0.5, 0.6, 0.4]

    assert _expectation(ramp, base, 0.1, 0.1 - distance, "harm", None) < 1
    assert _expectation(ramp, base, 0.1, 0.1 + distance, "noninferiority", None) < 1


@given(units, st.integers(0, 40))
def test_one_by_one_in_one_batch_or_in_two_the_state_is_the_same(
    seen: list[tuple[float, int, float]], cut: int
) -> None:
    whole, single = _state(seen), AipwCounts()
    for unit in seen:
        single = single.add(*unit)

    first = _state(seen[:cut])
    columns = np.array(seen[cut:], dtype=np.float64).reshape(-1, 3).T

    assert single == whole
    assert first.extend(*columns) == whole
    assert whole.n == len(seen)


@given(st.lists(states, min_size=3, max_size=3), nulls, sides)
def test_shards_add_up_in_any_order_to_the_same_bits(shards: list[AipwCounts], null: float, side: Side) -> None:
    merged = shards[0].merge(shards[1]).merge(shards[2])

    assert shards[2].merge(shards[1].merge(shards[0])) == merged
    assert merged.n == sum(shard.n for shard in shards)
    assert log_e_aipw(shards[2].merge(shards[0]).merge(shards[1]), null, side) == log_e_aipw(merged, null, side)


@given(states)
def test_a_state_comes_back_from_json(state: AipwCounts) -> None:
    assert AipwCounts.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@given(st.lists(states, max_size=4), nulls, sides)
def test_many_states_have_the_bits_of_each(many: list[AipwCounts], null: float, side: Side) -> None:
    assert log_e_aipw_many(many, null, side).tolist() == [log_e_aipw(state, null, side) for state in many]
    assert aipw_confidence_sequences(many, 0.05) == [aipw_confidence_sequences([state], 0.05)[0] for state in many]


@given(states, nulls, st.floats(0.001, 0.5))
def test_a_difference_is_outside_exactly_when_an_e_process_rejects_it(
    state: AipwCounts, null: float, alpha: float
) -> None:
    found = aipw_confidence_sequences([state], alpha)[0]
    evidence = max(log_e_aipw(state, null, side) for side in ("harm", "noninferiority"))
    assume(state.n > 0)
    assume(abs(evidence - math.log(2 / alpha)) > 1e-6)

    if isinstance(found, NotEstimable):
        assert found.reason == VIOLATED
    else:
        assert -1 <= found.lower <= found.value <= found.upper <= 1
        assert (not found.lower <= null <= found.upper) == (evidence > math.log(2 / alpha))


def test_the_centre_is_the_mean_of_the_units_before() -> None:
    state = _state([(0.5, 1, 1.0), (0.5, 0, 1.0), (0.5, 1, 0.0), (0.5, 0, 0.0)])

    # One imagined unit of 1/2 first: (0.5 + 0) / 1, (0.5 + 1) / 2, (0.5 + 2) / 3, (0.5 + 2) / 4, to 1/64.
    assert sorted(row[1] for row in state.counts) == [0.5, 0.625, 0.75, round(2.5 / 3 * 64) / 64]


def test_a_prediction_from_the_past_may_take_the_place_of_the_running_mean() -> None:
    state = AipwCounts().extend([0.1, 0.1], [1, 0], [1.0, 0.0], centre=[0.9, 0.2])

    assert [row[1] for row in state.counts] == [13 / 64, 58 / 64]


def test_centring_removes_the_noise_of_a_high_base_rate() -> None:
    """The design's reason for centring: under a ramp the raw form sees far less."""
    rng = np.random.default_rng(4)
    propensity = np.repeat([0.01, 0.05, 0.25, 0.5], 5000)
    arm = (rng.random(20_000) < propensity).astype(int)
    outcome = (rng.random(20_000) < np.repeat([0.9, 0.88, 0.85, 0.8], 5000) - 0.04 * arm).astype(float)

    raw, centred = (AipwCounts(fixed_centre=c).extend(propensity, arm, outcome) for c in (0.0, None))

    assert log_e_aipw(centred, 0.0, "harm") > log_e_aipw(raw, 0.0, "harm") + 3


def test_the_estimate_is_near_the_difference_and_inside() -> None:
    rng = np.random.default_rng(5)
    propensity = np.repeat([0.05, 0.5], 10_000)
    arm = (rng.random(20_000) < propensity).astype(int)
    outcome = (rng.random(20_000) < 0.7 - 0.1 * arm).astype(float)

    found = aipw_confidence_sequences([AipwCounts().extend(propensity, arm, outcome)], 0.05)[0]

    assert isinstance(found, Estimate)
    assert found.lower < -0.1 < found.upper < 0
    assert found.value == pytest.approx(-0.1, abs=0.02)


@pytest.mark.parametrize("arm", [0, 1])
def test_data_that_rule_out_every_difference_are_reported_and_not_a_narrow_interval(arm: int) -> None:
    """Assigned with a probability of 1 %, the logs say, yet every unit was: the logged propensity is wrong."""
    propensity = 0.01 if arm else 0.99
    state = AipwCounts(fixed_centre=0.5).extend(propensity, [arm] * 3000, [0.0] * 3000)

    assert aipw_confidence_sequences([state], 0.05) == [NotEstimable(VIOLATED)]


@pytest.mark.parametrize("propensity", [0.01, 0.99])
@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_nothing_overflows_and_nothing_is_nan_at_ten_million_units(propensity: float, outcome: float) -> None:
    counts = tuple((propensity, centre, arm, outcome, 10**7) for centre in (0.0, 0.5, 1.0) for arm in (0, 1))

    for side in ("harm", "noninferiority"):
        for null in (-0.99, 0.0, 0.99):
            assert math.isfinite(log_e_aipw(AipwCounts(counts), null, side))
    assert log_e_aipw(AipwCounts(), 0.0, "harm") == 0.0


def test_without_a_unit_there_is_no_estimate() -> None:
    assert aipw_confidence_sequences([AipwCounts()], 0.05) == [NotEstimable("no observation yet")]
    with pytest.raises(ValueError, match="n == 0"):
        _ = AipwCounts().estimate


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ((0.0, 1, 1.0), r"propensity == 0\.0, must be in \[0\.01, 0\.99\]"),
        ((0.009, 1, 1.0), "propensity == 0.009"),
        ((0.995, 1, 1.0), "propensity == 0.995"),
        ((0.5, 2, 1.0), r"arm == 2\.0"),
        ((0.5, 1, 1.5), r"outcome == 1\.5, must be in \[0, 1\]"),
        ((0.5, 1, math.nan), "outcome == nan"),
    ],
)
def test_a_bad_unit_is_refused_by_name(unit: tuple[float, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AipwCounts().add(*unit)
    with pytest.raises(ValueError, match=message):
        AipwCounts().extend(*([x] for x in unit))


def test_other_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="fixed_centre == 2"):
        AipwCounts(fixed_centre=2)
    with pytest.raises(ValueError, match=r"centre == -0\.5"):
        AipwCounts().extend(0.5, 1, 1.0, centre=-0.5)
    with pytest.raises(ValueError, match="units == -1"):
        AipwCounts(((0.5, 0.5, 1, 1.0, -1),))
    with pytest.raises(ValueError, match=r"fixed_centre == 0\.0, must be None"):
        AipwCounts().merge(AipwCounts(fixed_centre=0.0))
    with pytest.raises(ValueError, match=r"shares == 1\.0, must be in \(0, 1\)"):
        log_e_aipw(AipwCounts(), 0.0, "harm", np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"null_mean == 1\.0"):
        log_e_aipw(AipwCounts(), 1.0, "harm")
    with pytest.raises(ValueError, match="alpha == 0"):
        aipw_confidence_sequences([AipwCounts()], 0)
