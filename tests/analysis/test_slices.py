"""Slices: harm on their own evidence, never safe for lack of it, and shrinkage that changes estimates only."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.decision_time import decision_probability
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.power import split_discordance
from analysis.result import NotEstimable
from analysis.slices import Shrinkage, SlicePlan, SliceStatus, shrink, slice_reports, slice_status

PLAN = SlicePlan(margin=0.05, tolerance=0.02, weight=0.125)
counts = st.integers(0, 3000)


@given(losses=counts, ties=counts, wins=counts)
@settings(max_examples=40, deadline=None)
def test_a_report_rests_on_the_slices_own_e_values(losses: int, ties: int, wins: int) -> None:
    state = DifferenceCounts.from_ltw(losses, ties, wins)
    (found,) = slice_reports({"de": state}, {"de": PLAN}, 0.05, 0.025)

    assert found.log_e_harm == max(0.0, log_e_harm(state, -0.02))
    assert found.log_e_safe == max(0.0, log_e_noninferior(state, -0.05))
    assert found.status == slice_status(found.log_e_harm, found.log_e_safe, 0.125, 0.05, 0.025)
    assert found.n == losses + ties + wins


def test_no_data_and_little_data_are_insufficient_and_say_what_would_not_show() -> None:
    few = DifferenceCounts.from_ltw(0, 40, 0)
    none, little = slice_reports({"few": few}, {"none": PLAN, "few": PLAN}, 0.05, 0.025)

    assert none.status is little.status is SliceStatus.INSUFFICIENT
    assert none.value is None
    assert none.n == 0
    assert isinstance(none.minimum_detectable_harm, NotEstimable)
    assert none.reason == "0 units: not even a total loss would show"
    assert little.value == 0
    assert isinstance(little.minimum_detectable_harm, float)
    assert 0.1 < little.minimum_detectable_harm < 0.5


def test_a_harmed_and_a_safe_slice_are_told_apart_and_harm_comes_first() -> None:
    states = {
        "bad": DifferenceCounts.from_ltw(60, 235, 5),
        "good": DifferenceCounts.from_ltw(20, 1960, 20),
    }
    bad, good = slice_reports(states, {"bad": PLAN, "good": PLAN}, 0.05, 0.025)

    assert (bad.status, good.status) == (SliceStatus.HARM, SliceStatus.SAFE)
    assert slice_status(99.0, 99.0, 1.0, 0.05, 0.025) is SliceStatus.HARM


def test_a_crossing_at_an_earlier_look_is_sticky() -> None:
    state = {"de": DifferenceCounts.from_ltw(20, 1960, 20)}
    (found,) = slice_reports(state, {"de": PLAN}, 0.05, 0.025, peaks={"de": (8.0, 0.0)})

    assert found.status is SliceStatus.HARM
    assert found.log_e_harm == 8.0


def test_a_smaller_weight_asks_for_more_evidence() -> None:
    enough = math.log(20)

    assert slice_status(enough + 1e-9, 0.0, 1.0, 0.05, 0.025) is SliceStatus.HARM
    assert slice_status(enough + 1e-9, 0.0, 0.5, 0.05, 0.025) is SliceStatus.INSUFFICIENT


def test_the_detectable_harm_shrinks_as_units_come_in_and_shows_with_the_power() -> None:
    found = []
    for n in (100, 400, 1600, 6400):
        discordant = n * 6 // 200
        state = DifferenceCounts.from_ltw(discordant, n - 2 * discordant, discordant)
        found.append(slice_reports({"de": state}, {"de": PLAN}, 0.05, 0.025)[0].minimum_detectable_harm)

    assert found == sorted(found, reverse=True)
    losses, wins = split_discordance(0.06, found[2])
    assert 0.75 < decision_probability(1600, losses, wins, 0.05 * 0.125, -0.02, look_every=50) < 0.9


def test_rubins_eight_schools_are_drawn_all_the_way() -> None:
    found = shrink([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])

    assert isinstance(found, Shrinkage)
    assert found.variance_between == 0
    assert found.shrunk == pytest.approx((found.mean,) * 8)
    assert found.shrunk_standard_errors == pytest.approx((found.standard_error,) * 8)
    assert (round(found.mean, 1), round(found.standard_error, 1)) == (7.7, 4.1)


def test_the_variance_between_slices_is_found_again() -> None:
    rng = np.random.default_rng(7)
    truth, se = rng.normal(0.0, 2.0, 4000), rng.uniform(0.5, 3, 4000)
    seen = truth + rng.normal(0, se)
    found = shrink(seen, se)

    assert isinstance(found, Shrinkage)
    assert found.variance_between == pytest.approx(4.0, rel=0.1)
    assert np.mean((np.array(found.shrunk) - truth) ** 2) < 0.75 * np.mean((seen - truth) ** 2)
    assert np.mean((np.array(found.shrunk) - truth) ** 2) == pytest.approx(
        np.mean(np.square(found.shrunk_standard_errors)), rel=0.1
    )


@given(
    rows=st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 3)), min_size=2, max_size=12),
    moved=st.floats(-3, 3),
)
@settings(max_examples=60)
def test_shrunk_estimates_lie_between_their_own_and_the_common_mean(rows, moved) -> None:
    y, se = map(list, zip(*rows, strict=True))
    found, shifted = shrink(y, se), shrink([value + moved for value in y], se)

    assert isinstance(found, Shrinkage)
    assert isinstance(shifted, Shrinkage)
    for own, drawn in zip(y, found.shrunk, strict=True):
        assert min(own, found.mean) - 1e-9 <= drawn <= max(own, found.mean) + 1e-9
    assert shifted.mean == pytest.approx(found.mean + moved, abs=1e-6)
    assert shifted.variance_between == pytest.approx(found.variance_between, abs=1e-6)


def test_one_slice_has_nothing_to_be_drawn_to() -> None:
    assert isinstance(shrink([1.0], [0.1]), NotEstimable)
    assert isinstance(shrink([], []), NotEstimable)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SlicePlan(0.05, 0.06, 0.1), "tolerance == 0.06, must be <= margin == 0.05"),
        (lambda: SlicePlan(0.05, 0.0, 0.1), "tolerance == 0.0, must be > 0"),
        (lambda: SlicePlan(0.0, 0.01, 0.1), r"margin == 0.0, must be in \(0, 1\)"),
        (lambda: SlicePlan(0.05, 0.01, 0.0), r"weight == 0.0, must be in \(0, 1\]"),
        (lambda: slice_status(0, 0, 2.0, 0.05, 0.05), r"weight == 2.0, must be in \(0, 1\]"),
        (lambda: slice_reports({}, {str(i): PLAN for i in range(9)}, 0.05, 0.025), "sum of weights == 1.125"),
        (lambda: slice_reports({"x": DifferenceCounts()}, {}, 0.05, 0.025), "must hold every slice that has data"),
        (lambda: slice_reports({}, {}, 1.0, 0.025), r"alpha_harm == 1.0, must be in \(0, 1\)"),
        (lambda: shrink([1.0, 2.0], [0.1]), "one per estimate"),
        (lambda: shrink([1.0, 2.0], [0.1, 0.0]), "must be > 0 and finite"),
        (lambda: shrink([1.0, math.nan], [0.1, 0.1]), "must be finite"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
