"""Lanes: units that are open and closed, each lane by its own clock."""

import pytest
from tests_builders import make_outcome

from experiments.config.records import Policy
from experiments.evaluation.counts import ALL, Exposure, Key
from experiments.evaluation.lanes import Lane, OpenUnit
from experiments.model import CONTROL

EXPOSURE = Exposure(0, 5_000, CONTROL)
POLICY = Policy(settle_seconds=10, unit_cap=2)


def hear(lane: Lane, at: float, pair: str = "p", unit: str = "a") -> OpenUnit | None:
    found = lane.unit_of(make_outcome(unit, 0.0, pair=pair), EXPOSURE, at)
    if found is not None:
        found.takes(ALL, pair, POLICY.unit_cap)
        found.add(Key("quality"), 0.0)
    return found


def test_a_unit_is_closed_when_it_has_been_quiet_and_never_opened_again() -> None:
    lane = Lane(POLICY)
    hear(lane, 1000.0)
    hear(lane, 1005.0)

    assert lane.close(1014.9) == []
    assert len(lane.close(1015.0)) == 1
    assert hear(lane, 1016.0) is None
    assert (lane.open_units, lane.closed_units) == (0, 1)


def test_an_older_outcome_does_not_turn_the_quiet_time_back() -> None:
    lane = Lane(POLICY)
    hear(lane, 1000.0)
    hear(lane, 900.0)

    assert lane.close(1009.0) == []


def test_at_its_cap_a_unit_takes_no_further_pair_but_more_of_those_it_has() -> None:
    lane = Lane(POLICY)
    hear(lane, 1000.0, "first")
    hear(lane, 1000.0, "second")

    assert hear(lane, 1000.0, "third") is None
    assert hear(lane, 1000.0, "first") is not None
    assert len(lane.close(1000.0)) == 1


def test_a_slice_has_a_cap_of_its_own() -> None:
    unit = OpenUnit("u", EXPOSURE, 1000.0)

    assert [unit.takes("language=hi", pair, 2) for pair in ("a", "b", "c", "a")] == [True, True, False, True]
    assert unit.takes(ALL, "c", 2)
    assert unit.is_counted


def test_a_units_observation_is_the_mean_of_its_values() -> None:
    unit = OpenUnit("u", EXPOSURE, 1000.0)
    for value in (-1.0, 0.0, 0.0, 0.0):
        unit.add(Key("quality"), value)

    assert dict(unit.means()) == {Key("quality"): pytest.approx(-0.25)}


def test_a_metric_that_moves_out_leaves_the_others_behind() -> None:
    lane = Lane(POLICY)
    unit = hear(lane, 1000.0)
    assert unit is not None
    unit.add(Key("judge", "language=hi"), 1.0)

    lane.drop("quality")

    assert list(unit.sums) == [Key("judge", "language=hi")]
