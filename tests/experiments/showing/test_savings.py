"""What is saved a day, or why that cannot be told."""

import pytest
from tests_standings import make_evidence, make_goal, make_look, make_row, make_standing

from experiments.evidence import Elapsed, Interval, MetricEvidence
from experiments.model import Phase
from experiments.showing.savings import Saving, savings


def money(*rows: MetricEvidence, phase: Phase = Phase.RUNNING) -> Saving:
    return savings(make_standing(*rows, phase=phase))[0]


def test_it_is_the_relative_change_of_controls_cost_at_the_requests_of_a_day() -> None:
    found = money(make_goal())

    # 5,000 requests in half a day, 0.01 USD each with control, 31 % (28 to 34) less with the treatment.
    assert found.per_day == pytest.approx(31.0)
    assert (found.lower, found.upper) == (pytest.approx(28.0), pytest.approx(34.0))
    assert found.text == "would save 31 USD a day (28 to 34, 95 %, asymptotic)"
    assert "10,000 requests a day, extrapolated from 12 hours; by the configured prices" in found.basis


def test_once_promoted_it_is_no_longer_conditional() -> None:
    assert money(make_goal(), phase=Phase.PROMOTED).text.startswith("saves 31 USD a day")


def test_an_interval_on_both_sides_of_zero_claims_no_saving() -> None:
    unclear = make_goal(estimate=-0.02, interval=Interval(-0.1, 0.07), treatment_mean=0.0098)

    assert money(unclear).text == "cannot tell whether it saves: between -7 and +10 USD a day"


def test_means_that_contradict_the_typical_unit_are_shown_without_an_interval() -> None:
    found = money(make_goal(treatment_mean=0.012))

    assert found.per_day == pytest.approx(-20.0)
    assert (found.lower, found.upper) == (None, None)
    assert found.text.startswith("would cost 20 USD a day more, as far as is seen")


def test_carbon_says_that_it_is_estimated() -> None:
    rows = make_goal(metric="carbon", control_mean=0.5, treatment_mean=0.345)
    carbon = savings(make_standing(rows, power_uncertainty_percent=30.0))[1]

    assert carbon.text == "would save 1,550 g CO2e a day (1,400 to 1,700, 95 %, asymptotic)"
    assert "estimated from the configured power, not measured, uncertain by 30 %" in carbon.basis


def test_without_prices_it_says_what_is_missing() -> None:
    cost, carbon = savings(make_standing(make_row()))

    assert cost.per_day is None
    assert "need a price" in cost.why_not
    assert "power and the grid's intensity" in carbon.why_not


def test_without_traffic_nothing_is_extrapolated() -> None:
    idle = make_look(make_evidence(make_goal(), elapsed=Elapsed(epoch_s=0.0, stage_s=0.0)))

    assert savings(make_standing(look=idle))[0].why_not == "no request has come in yet"
    assert savings(make_standing())[0].text == "cannot tell: no request has come in yet"
