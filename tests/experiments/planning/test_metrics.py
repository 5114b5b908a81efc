"""The figures are those of the statistics: held against the simulated references, and against laws they must obey."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.planning.metrics import MetricPlan, Supply, plan_harm, plan_safe

SUPPLY = Supply(per_day=100, max_days=28)


def median(row: MetricPlan) -> float:
    assert row.wait is not None
    return row.wait.median_units


@pytest.mark.parametrize(
    ("discordance", "margin", "simulated"), [(0.06, 0.02, 1_250), (0.06, 0.01, 4_600), (0.10, 0.02, 1_850)]
)
def test_a_proof_of_no_harm_takes_as_long_as_simulated(discordance: float, margin: float, simulated: float) -> None:
    row = plan_safe("quality", "", margin, discordance, 0.05, SUPPLY)

    # The reference looked every 50 units and comes with the error of its simulation.
    assert median(row) == pytest.approx(simulated, rel=0.07)
    assert row.wait is not None
    assert row.wait.median_days == pytest.approx(median(row) / 100)


def test_a_rollback_takes_about_as_long_as_simulated() -> None:
    row = plan_harm("quality", "", margin=0.03, tolerance=0.01, discordance=0.06, alpha=0.05, supply=SUPPLY)

    assert row.truth == 0.03
    # The reference looked every 100 units only, so it is later, by one look or two.
    assert 1_000 - 50 <= median(row) <= 1_200


def test_a_tolerance_near_the_margin_is_planned_for_a_loss_of_twice_the_tolerance() -> None:
    row = plan_harm("quality", "", margin=0.03, tolerance=0.03, discordance=0.06, alpha=0.05, supply=SUPPLY)

    assert row.truth == 0.06
    assert row.wait is not None


def test_the_chance_goes_with_the_wait() -> None:
    needed = plan_safe("quality", "", 0.02, 0.06, 0.025, SUPPLY)
    assert needed.wait is not None

    at_median = plan_safe("quality", "", 0.02, 0.06, 0.025, Supply(needed.wait.median_units, 1))
    at_ninetieth = plan_safe("quality", "", 0.02, 0.06, 0.025, Supply(needed.wait.ninetieth_units, 1))

    assert at_median.chance == pytest.approx(0.5, abs=0.03)
    assert at_ninetieth.chance == pytest.approx(0.9, abs=0.03)


def test_the_smallest_loss_that_is_seen_is_above_what_is_tolerated() -> None:
    row = plan_harm("quality", "", 0.02, 0.01, 0.06, 0.05, SUPPLY)

    assert row.smallest is not None
    assert row.smallest > row.limit


def test_without_units_nothing_is_decided_and_nothing_is_seen() -> None:
    for row in (
        plan_safe("quality", "", 0.02, 0.06, 0.025, Supply(0.01, 28)),
        plan_harm("quality", "", 0.02, 0.01, 0.06, 0.05, Supply(0.01, 28)),
    ):
        assert row.units_available == 0
        assert row.chance == 0
        assert row.smallest is None


def test_answers_that_never_differ_are_still_not_decided_at_once() -> None:
    row = plan_safe("quality", "", 0.02, 0.0, 0.025, SUPPLY)

    assert median(row) > 100


@settings(max_examples=3, deadline=None)
@given(discordance=st.floats(0.01, 0.5), margin=st.floats(0.01, 0.2), alpha=st.floats(0.001, 0.1))
def test_more_noise_a_smaller_margin_and_a_stricter_level_take_longer(
    discordance: float, margin: float, alpha: float
) -> None:
    base = median(plan_safe("quality", "", margin, discordance, alpha, SUPPLY))

    # Looks are computed at steps of 3 %.
    assert median(plan_safe("quality", "", margin, discordance * 2, alpha, SUPPLY)) >= 0.94 * base
    assert median(plan_safe("quality", "", margin / 2, discordance, alpha, SUPPLY)) >= 0.94 * base
    assert median(plan_safe("quality", "", margin, discordance, alpha / 10, SUPPLY)) >= 0.94 * base
