"""The live forecast: what is detectable now, when it will decide, and "undecidable" with its arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.decision_time import decision_probability
from analysis.eprocess import DifferenceCounts, log_e_ltw
from analysis.forecast import Forecast, Outlook, forecast, minimum_detectable_harms, smallest_decidable_margin
from analysis.power import split_discordance
from analysis.result import NotEstimable

counts = st.integers(0, 2000)


def _forecast(losses: int, ties: int, wins: int, null: float = -0.02, **given: object) -> Forecast:
    found = forecast(DifferenceCounts.from_ltw(losses, ties, wins), null, "noninferiority", 0.025, **given)
    assert isinstance(found, Forecast)
    return found


def test_the_units_left_are_those_after_which_the_same_rates_decide() -> None:
    found = _forecast(15, 470, 15, units_per_day=120)
    assert found.outlook is Outlook.ON_COURSE
    assert found.units_left is not None
    scale = 1 + found.units_left / 500

    log_e = log_e_ltw(15 * scale, 470 * scale, 15 * scale, -0.02, "noninferiority")
    assert log_e == pytest.approx(math.log(40), abs=1e-6)
    assert found.days_left == pytest.approx(found.units_left / 120)


def test_the_growth_is_that_of_the_best_bet_and_bounds_the_time_from_below() -> None:
    found = _forecast(15, 470, 15)

    assert found.units_left is not None
    assert found.growth > 0
    assert found.units_left >= (found.threshold - found.log_e) / found.growth
    assert found.units_left <= (found.threshold - found.log_e + math.log(12)) / found.growth


def test_too_little_traffic_for_the_margin_is_undecidable_and_says_why() -> None:
    found = _forecast(15, 470, 15, units_per_day=100, units_available=1000)

    assert found.outlook is Outlook.UNDECIDABLE
    assert found.smallest_margin is not None
    assert found.smallest_margin > 0.02
    for number in ("1000 units", "6.1 %", "2 pp", "days"):
        assert number in found.arithmetic
    # An equal treatment would indeed rather not be shown to be one by then.
    assert decision_probability(1000, 0.03, 0.03, 0.025, -0.02, "noninferiority", 50) < 0.5


def test_a_margin_that_the_grid_cannot_reach_needs_no_finite_number() -> None:
    found = _forecast(150, 200, 150, null=-0.001, units_available=10_000)

    assert found.outlook is Outlook.UNDECIDABLE
    assert "no number of units" in found.arithmetic


def test_enough_traffic_is_on_course_and_a_bad_start_is_too_late_or_not_growing() -> None:
    assert _forecast(15, 470, 15, units_available=5000).outlook is Outlook.ON_COURSE
    assert _forecast(20, 470, 14, units_available=2500).outlook is Outlook.TOO_LATE
    stuck = _forecast(60, 430, 10, units_available=5000, units_per_day=10)
    assert stuck.outlook is Outlook.NO_GROWTH
    assert stuck.units_left is None
    assert stuck.days_left is None


def test_a_decided_test_has_nothing_left() -> None:
    found = _forecast(20, 3960, 20, units_per_day=100, units_available=100)

    assert found.outlook is Outlook.DECIDED
    assert found.units_left == found.days_left == 0


def test_harm_is_forecast_without_a_margin() -> None:
    state = DifferenceCounts.from_ltw(30, 455, 15)
    found = forecast(state, 0.0, "harm", 0.05, units_per_day=100, units_available=10_000)

    assert isinstance(found, Forecast)
    assert found.outlook is Outlook.ON_COURSE
    assert found.smallest_margin is None


def test_without_a_unit_there_is_no_forecast() -> None:
    assert isinstance(forecast(DifferenceCounts(), -0.02, "noninferiority", 0.025), NotEstimable)


@given(losses=counts, ties=counts, wins=counts, available=st.integers(0, 10**6), margin=st.floats(0.001, 0.5))
@settings(max_examples=60, deadline=None)
def test_a_forecast_holds_together_whatever_the_data(losses, ties, wins, available, margin) -> None:
    state = DifferenceCounts.from_ltw(losses, ties, wins)
    found = forecast(state, -margin, "noninferiority", 0.025, 50.0, available)
    if state.n == 0:
        assert isinstance(found, NotEstimable)
        return

    assert isinstance(found, Forecast)
    assert math.isfinite(found.log_e)
    assert math.isfinite(found.growth)
    assert (found.outlook is Outlook.DECIDED) == (found.log_e >= found.threshold)
    assert found.units_left is None or found.units_left >= 0
    assert "nan" not in found.arithmetic
    if found.outlook is Outlook.ON_COURSE:
        assert found.units_left is not None
        assert state.n + found.units_left <= available


@given(n=st.integers(0, 10**7), moment=st.floats(0, 1), tolerance=st.floats(0, 0.3), alpha=st.floats(1e-4, 0.2))
@settings(max_examples=60, deadline=None)
def test_the_detectable_harm_shrinks_with_more_units_and_is_never_nan(n, moment, tolerance, alpha) -> None:
    found = minimum_detectable_harms([n, 2 * n, 4 * n], moment, alpha, tolerance)

    assert not np.any(np.isnan(found))
    assert np.all(found >= tolerance)
    assert found[2] <= found[1] <= found[0]


@pytest.mark.parametrize(("n", "tolerance"), [(300, 0.0), (1281, 0.0), (1281, 0.03), (5000, 0.01)])
def test_the_detectable_harm_is_detected_with_the_power_it_says_or_a_little_more(n: int, tolerance: float) -> None:
    harm = float(minimum_detectable_harms(n, 0.06, 0.05, tolerance))

    assert 0.8 <= decision_probability(n, *split_discordance(0.06, harm), 0.05, -tolerance, look_every=10) <= 0.9


def test_nothing_is_detectable_with_nothing() -> None:
    assert minimum_detectable_harms(0, 0.06, 0.05) == math.inf
    assert minimum_detectable_harms(3, 0.06, 0.05) == math.inf
    assert isinstance(smallest_decidable_margin(0, 0.06, 0.05), NotEstimable)


@given(n=st.integers(20, 10**6), moment=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_smallest_margin_shrinks_with_more_units(n: int, moment: float) -> None:
    few, many = (smallest_decidable_margin(size, moment, 0.05) for size in (n, 2 * n))

    assert isinstance(few, float)
    assert isinstance(many, float)
    assert 0 < many < few < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minimum_detectable_harms(-1, 0.06, 0.05), "n == -1.0, must be >= 0"),
        (lambda: minimum_detectable_harms(1, 1.5, 0.05), r"second_moment == 1.5, must be in \[0, 1\]"),
        (lambda: minimum_detectable_harms(1, 0.5, 0.0), r"alpha == 0.0, must be in \(0, 1\)"),
        (lambda: minimum_detectable_harms(1, 0.5, 0.05, 1.0), r"tolerance == 1.0, must be in \[0, 1\)"),
        (lambda: minimum_detectable_harms(1, 0.5, 0.05, power=0.4), r"power == 0.4, must be in \[0.5, 1\)"),
        (lambda: smallest_decidable_margin(10, 2.0, 0.05), r"second_moment == 2.0, must be in \[0, 1\]"),
        (lambda: _forecast(1, 1, 1, units_per_day=0), "units_per_day == 0, must be > 0"),
        (lambda: _forecast(1, 1, 1, units_available=-1), "units_available == -1, must be >= 0"),
        (lambda: _forecast(1, 1, 1, null=-1.0), r"null_mean == -1.0, must be in \(-1, 1\)"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
