"""The figures are held against simulations of the very statistics that decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.event_coin import log_e_event_counts
from analysis.sequential import p_one_sided
from experiments.evaluation.evaluator import BURN_IN, N_STAR
from experiments.planning.crossings import plan_events, plan_goal
from experiments.planning.metrics import MetricPlan, Supply

SUPPLY = Supply(per_day=1_000, max_days=28)
RNG = np.random.default_rng(20_261_125)


def waits(row: MetricPlan) -> tuple[float, float]:
    assert row.missing == ""
    assert row.wait is not None
    return row.wait.median_units, row.wait.ninetieth_units


def simulated_events(rate: float, ratio: float, split: float, max_relative: float, alpha: float) -> list[float]:
    """Return the median and the ninth decile of the units until the event coin reaches its threshold."""
    heads = split * ratio / (split * ratio + 1 - split)
    events = np.arange(1, 501)
    treatment = (RNG.random((2_000, len(events))) < heads).cumsum(axis=1)
    shown = log_e_event_counts(events - treatment, treatment, split, max_relative) >= -math.log(alpha)
    first = np.where(shown.any(axis=1), shown.argmax(axis=1) + 1, 10**9)
    return list(np.quantile(first, [0.5, 0.9]) / (rate * (split * ratio + 1 - split)))


@pytest.mark.parametrize(("rate", "split", "max_relative", "alpha"), [(0.01, 0.1, 1.0, 0.05), (0.01, 0.5, 1.2, 0.0125)])
def test_too_many_events_are_discovered_as_quickly_as_simulated(
    rate: float, split: float, max_relative: float, alpha: float
) -> None:
    row = plan_events("errors", rate, split, max_relative, alpha, SUPPLY)

    assert waits(row) == pytest.approx(simulated_events(rate, 2 * max_relative, split, max_relative, alpha), rel=0.12)


def test_a_doubled_rare_event_is_discovered_as_quickly_as_the_reference_says() -> None:
    row = plan_events("errors", 0.01, 0.1, 1.0, 0.05, SUPPLY)

    assert waits(row)[0] == pytest.approx(9_850, rel=0.05)


def simulated_goal(better_by: float, gain: float, spread: float, level: float, most: int) -> list[float]:
    """Return the median and the ninth decile of the units until the goal's p-value, as evaluated, reaches its level."""
    logs = RNG.normal(math.log1p(-gain), spread, (1_000, most))
    n, null = np.arange(1, most + 1), math.log1p(-better_by)
    mean = logs.cumsum(axis=1) / (n + 1)
    sd = np.sqrt(((logs**2).cumsum(axis=1) - (n + 1) * mean**2) / n)
    z = (null - mean) * np.sqrt(n + 1) / sd
    needed = np.array([_needed(int(count), level) if count >= BURN_IN else math.inf for count in n])
    shown = z >= needed
    return list(np.quantile(np.where(shown.any(axis=1), shown.argmax(axis=1) + 1, 10**9), [0.5, 0.9]))


def _needed(n: int, level: float) -> float:
    scores = np.linspace(0, 12, 1_201)
    return float(next(z for z in scores if p_one_sided(float(z), n + 1, N_STAR) <= level))


def test_a_goal_is_proven_as_quickly_as_simulated() -> None:
    row = plan_goal("latency", better_by=0.1, gain=0.2, spread=0.5, level=0.0125, supply=SUPPLY)

    assert waits(row) == pytest.approx(simulated_goal(0.1, 0.2, 0.5, 0.0125, 1_000), rel=0.12)


def test_a_goal_without_any_spread_waits_for_the_burn_in_and_no_longer() -> None:
    row = plan_goal("cost", better_by=0.3, gain=0.44, spread=0.0, level=0.0125, supply=SUPPLY)

    assert BURN_IN <= waits(row)[0] == waits(row)[1] <= 1.1 * BURN_IN
    assert row.chance == 1


def test_a_gain_that_is_not_above_the_goal_is_out_of_reach() -> None:
    row = plan_goal("cost", better_by=0.5, gain=0.44, spread=0.1, level=0.025, supply=SUPPLY)

    assert row.wait is None
    assert row.chance == 0.025
    assert "44 % is not above the 50 %" in row.missing


def test_where_nearly_every_unit_has_an_event_more_of_them_cannot_be_seen() -> None:
    row = plan_events("thumbs", rate=0.9, split=0.5, max_relative=1.2, alpha=0.05, supply=SUPPLY)

    assert row.wait is None
    assert "90 % of control's units" in row.missing


@pytest.mark.parametrize("per_day", [0.01, 500.0])
def test_more_units_give_a_better_chance_and_a_finer_sight(per_day: float) -> None:
    few, many = (plan_events("errors", 0.01, 0.5, 1.2, 0.05, Supply(n, 28)) for n in (per_day, 3 * per_day))
    assert few.chance is not None
    assert many.chance is not None

    assert 0 <= few.chance <= many.chance <= 1
    assert waits(few) == waits(many)
    assert (few.smallest or math.inf) >= (many.smallest or math.inf)


def test_the_chance_goes_with_the_wait() -> None:
    median, ninetieth = waits(plan_goal("latency", 0.1, 0.2, 0.5, 0.0125, SUPPLY))

    found = [plan_goal("latency", 0.1, 0.2, 0.5, 0.0125, Supply(units, 1)).chance for units in (median, ninetieth)]

    assert found == pytest.approx([0.5, 0.9], abs=0.04)
