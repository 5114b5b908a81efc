"""Group-sequential plans: published constants and boundaries, and alpha spent to the last bit."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.group_sequential import (
    Boundaries,
    crossing_probabilities,
    lan_demets,
    naive_peeking_error,
    obrien_fleming,
    obrien_fleming_constant,
    obrien_fleming_spending,
    operating_characteristics,
    pocock,
    pocock_constant,
    pocock_spending,
    power_spending,
)

SPENDING = [obrien_fleming_spending, pocock_spending, power_spending(1), power_spending(3)]

fractions = (
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6, unique=True)
    .map(sorted)
    .filter(lambda times: all(b - a > 0.01 for a, b in itertools.pairwise(times)))
)


@pytest.mark.parametrize(
    ("looks", "percent"),
    [(2, 8.3), (3, 10.7), (4, 12.6), (5, 14.2), (10, 19.3), (20, 24.8), (50, 32.0), (100, 37.4)],
)
def test_naive_peeking_errs_as_often_as_the_exact_recursion_says(looks: int, percent: float) -> None:
    assert 100 * naive_peeking_error(looks) == pytest.approx(percent, abs=0.06)


# Jennison & Turnbull 2000, tables 2.1 and 2.3, two-sided alpha 0.05.
@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555), (20, 2.672)]
)
def test_pococks_constants_are_the_published_ones(looks: int, constant: float) -> None:
    assert pocock_constant(looks, 0.05) == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087), (20, 2.126)]
)
def test_obrien_and_flemings_constants_are_the_published_ones(looks: int, constant: float) -> None:
    assert obrien_fleming_constant(looks, 0.05) == pytest.approx(constant, abs=6e-4)


def test_lan_demets_boundaries_are_the_published_ones() -> None:
    assert lan_demets([0.25, 0.5, 0.75, 1.0], 0.025).upper == pytest.approx((4.333, 2.963, 2.359, 2.014), abs=6e-4)


def test_one_look_is_the_fixed_test() -> None:
    for spending in SPENDING:
        assert lan_demets([1.0], 0.025, spending=spending).upper[0] == pytest.approx(1.959964, abs=1e-6)


@given(
    times=fractions,
    alpha=st.floats(0.001, 0.2),
    sides=st.sampled_from([1, 2]),
    spending=st.sampled_from(SPENDING),
)
@settings(max_examples=40, deadline=None)
def test_what_is_spent_is_what_the_function_says_and_what_the_boundaries_cost(times, alpha, sides, spending) -> None:
    plan = lan_demets(times, alpha, sides, spending)

    stops = crossing_probabilities(times, plan.upper, plan.lower if sides == 2 else None)
    cost = np.cumsum(np.add(stops.upper, stops.lower))
    wanted = [sides * spending(time, alpha / sides) for time in times]
    assert plan.spent == pytest.approx(wanted, abs=1e-9)
    assert plan.spent == pytest.approx(cost.tolist(), abs=1e-9)
    assert plan.spent[-1] <= alpha * (1 + 1e-9)


@pytest.mark.parametrize("spending", SPENDING)
def test_a_whole_plan_spends_alpha_to_the_last_bit_and_starts_from_nothing(spending) -> None:
    assert spending(1.0, 0.05) == pytest.approx(0.05, rel=1e-12)
    assert spending(1.7, 0.05) == spending(1.0, 0.05)
    assert spending(1e-9, 0.05) < 1e-6


@given(times=fractions, drift=st.floats(-6, 6))
@settings(max_examples=40, deadline=None)
def test_probabilities_of_stopping_add_up_to_one_at_most(times, drift) -> None:
    stops = crossing_probabilities(times, [1.0] * len(times), [-1.0] * len(times), drift)

    assert all(p >= 0 for p in (*stops.upper, *stops.lower))
    assert stops.total <= 1 + 1e-9


def test_the_recursion_agrees_with_simulation() -> None:
    times, upper, drift = [0.2, 0.5, 1.0], [2.6, 2.3, 2.0], 2.5
    steps = np.random.default_rng(5).normal(size=(200_000, 3)) * np.sqrt(np.diff([0.0, *times]))
    z = (steps.cumsum(axis=1) + drift * np.array(times)) / np.sqrt(times)
    crossed = z >= np.array(upper)
    first = [np.mean(crossed[:, k] & ~crossed[:, :k].any(axis=1)) for k in range(3)]

    assert crossing_probabilities(times, upper, drift=drift).upper == pytest.approx(first, abs=0.004)


def test_a_boundary_depends_on_no_later_look() -> None:
    whole = lan_demets([0.3, 0.6, 1.0], 0.025).upper

    assert lan_demets([0.3], 0.025).upper == pytest.approx(whole[:1])
    assert lan_demets([0.3, 0.6], 0.025).upper == pytest.approx(whole[:2])


def test_a_look_too_early_to_spend_anything_cannot_stop() -> None:
    plan = lan_demets([0.001, 1.0], 0.025)

    assert plan.upper[0] == math.inf
    assert plan.spent[0] == 0
    assert plan.first_crossing([30.0, 1.0]) is None


def test_more_data_than_planned_spend_nothing_more() -> None:
    plan = lan_demets([0.5, 1.0, 1.3], 0.025)

    assert plan.upper[2] == math.inf
    assert plan.spent[2] == pytest.approx(0.025)


def test_a_plan_that_runs_over_before_its_last_look_spends_all_of_alpha_there() -> None:
    assert lan_demets([0.5, 1.3], 0.025).spent[-1] == pytest.approx(0.025)


# Jennison & Turnbull 2000, tables 2.2 and 2.4, two-sided alpha 0.05; Lan-DeMets as in the project's design document.
@pytest.mark.parametrize(
    ("plan", "inflation", "average"),
    [
        (pocock(5, 0.05), 1.207, 0.685),
        (obrien_fleming(5, 0.05), 1.026, 0.750),
        (lan_demets([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, 2), 1.023, 0.759),
        (lan_demets([k / 10 for k in range(1, 11)], 0.05, 2), 1.036, 0.722),
    ],
)
def test_inflation_and_average_sample_number_are_the_published_ones(
    plan: Boundaries, inflation: float, average: float
) -> None:
    found = operating_characteristics(plan, 0.9)

    assert found.inflation == pytest.approx(inflation, abs=0.001)
    assert found.average_alternative == pytest.approx(average, abs=0.001)
    assert found.average_alternative < 1 < found.average_null


@given(alpha=st.floats(0.005, 0.2), looks=st.integers(2, 6), sides=st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_classical_plans_cost_alpha(alpha: float, looks: int, sides) -> None:
    for plan in (pocock(looks, alpha, sides), obrien_fleming(looks, alpha, sides)):
        assert plan.spent[-1] == pytest.approx(alpha, abs=1e-8)
    assert obrien_fleming(looks, alpha, sides).upper[-1] < pocock(looks, alpha, sides).upper[-1]


def test_two_sided_plans_stop_on_either_side() -> None:
    plan = pocock(3, 0.05)

    assert plan.first_crossing([0.0, -2.5]) == 1
    assert plan.lower == tuple(-z for z in plan.upper)
    assert pocock(3, 0.05, sides=1).first_crossing([0.0, -9.0, 0.0]) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lan_demets([0.5, 1.0], 0.0), r"alpha == 0.0, must be in \(0, 1\)"),
        (lambda: lan_demets([0.5, 0.5], 0.05), "must be above 0 and rise"),
        (lambda: lan_demets([], 0.05), "at least one finite number"),
        (lambda: lan_demets([math.nan], 0.05), "at least one finite number"),
        (lambda: lan_demets([0.5], 0.05, 3), "sides == 3, must be 1 or 2"),
        (lambda: lan_demets([0.5], 0.05, 1, lambda _, alpha: 2 * alpha), r"spending\(0.5\) == 0.1, must be in"),
        (lambda: pocock_constant(0, 0.05), "looks == 0, must be >= 1"),
        (lambda: power_spending(0), "exponent == 0, must be > 0"),
        (lambda: operating_characteristics(lan_demets([0.5], 0.05)), r"fractions\[-1\] == 0.5, must be 1"),
        (lambda: operating_characteristics(pocock(2, 0.05), 0.04), "power == 0.04, must be > alpha"),
        (lambda: crossing_probabilities([0.5, 1.0], [2.0]), r"len\(upper\) == 1, must be one per look"),
        (lambda: pocock(2, 0.05).first_crossing([0, 0, 0]), r"len\(z_values\) == 3, must be <= 2"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
