"""Asymptotic confidence sequences: gates before anything else."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.result import Estimate, NotEstimable
from analysis.sequential import (
    Gates,
    MeanState,
    asymptotic_cs,
    asymptotic_p_above,
    asymptotic_p_below,
    halfwidth,
    halfwidth_one_sided,
    log_e_msprt,
    tuning,
)

numbers = st.lists(st.floats(-1e6, 1e6), max_size=40)
states = st.builds(MeanState, st.integers(100, 10**7), st.floats(-5, 5), st.floats(1, 1e6))
alphas = st.floats(0.001, 0.4)


@given(numbers, st.integers(0, 40), st.integers(0, 40))
def test_shards_add_up_to_the_whole(values: list[float], one: int, two: int) -> None:
    low, high = sorted((one, two))
    parts = [MeanState.of(part) for part in (values[:low], values[low:high], values[high:])]
    whole = MeanState.of(values)

    for found in (parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[0].merge(parts[1]))):
        assert found.n == whole.n == len(values)
        assert found.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
        assert found.m2 == pytest.approx(whole.m2, rel=1e-6, abs=1e-3)


@given(numbers)
def test_a_state_comes_back_from_json(values: list[float]) -> None:
    state = MeanState.of(values)

    assert MeanState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_sums_give_the_state_that_values_give(values: list[float]) -> None:
    array = np.array(values)
    found, expected = MeanState.from_sums(len(values), array.sum(), (array**2).sum()), MeanState.of(values)

    assert found.mean == pytest.approx(expected.mean, abs=1e-9)
    assert found.sd == pytest.approx(expected.sd, abs=1e-4)
    assert expected.sd == pytest.approx(float(array.std(ddof=1)), abs=1e-9)


def test_one_value_has_no_spread_and_none_has_no_mean() -> None:
    assert MeanState.of([]) == MeanState().merge(MeanState()) == MeanState.from_sums(0, 0.0, 0.0) == MeanState()
    assert MeanState.of([3.0]).sd == 0.0


@pytest.mark.parametrize(("values", "events"), [([0, 0, 1], 1), ([1, 1, 0, 1], 1), ([0, 0], 0), ([1, 1], 0), ([], 0)])
def test_the_events_of_zeros_and_ones_are_the_rarer_of_the_two(values: list[int], events: int) -> None:
    assert MeanState.of(values).events == events


@given(states, alphas, st.floats(10, 1e5))
def test_the_estimate_lies_inside_and_one_bound_alone_is_tighter(state: MeanState, alpha: float, n_star: float) -> None:
    both, lower, upper = (asymptotic_cs(state, alpha, n_star, form=f) for f in ("two-sided", "lower", "upper"))

    assert isinstance(both, Estimate)
    assert isinstance(lower, Estimate)
    assert isinstance(upper, Estimate)
    assert both.lower < state.mean < both.upper
    assert lower.upper == math.inf
    assert upper.lower == -math.inf
    assert lower.lower < state.mean < upper.upper
    assert state.mean - lower.lower == pytest.approx(upper.upper - state.mean)


def test_one_bound_alone_is_tighter_than_two() -> None:
    assert halfwidth_one_sided(1, 1000, 1000, 0.05) < halfwidth(1, 1000, 1000, 0.05)


def test_the_sequence_is_tightest_where_it_was_told_to_be() -> None:
    scaled = {n_star: halfwidth(1, 1000, n_star, 0.05) for n_star in (100, 500, 1000, 2000, 10_000)}

    assert min(scaled, key=scaled.__getitem__) == 1000


@given(states, st.floats(-8, 8), st.floats(10, 1e5))
def test_p_is_below_5_percent_exactly_when_the_null_is_outside_of_the_bound(
    state: MeanState, null: float, n_star: float
) -> None:
    """The p-value has the tuning of alpha = 0.05, so there the two statements are one."""
    upper, lower = (asymptotic_cs(state, 0.05, n_star, form=f) for f in ("upper", "lower"))
    below, above = asymptotic_p_below(state, null, n_star), asymptotic_p_above(state, null, n_star)
    assume(min(abs(below - 0.05), abs(above - 0.05)) > 1e-9)

    assert isinstance(upper, Estimate)
    assert isinstance(lower, Estimate)
    assert (below < 0.05) == (null > upper.upper)
    assert (above < 0.05) == (null < lower.lower)
    assert max(below, above) == 1.0


@given(st.integers(1, 1000), st.floats(-3, 3))
def test_a_p_value_is_one_over_the_mixture_that_it_comes_from(n: int, z: float) -> None:
    """One-sided normal mixture: with sd 1 and mean z / sqrt(n), alpha solves the boundary."""
    state = MeanState(n + 100, -abs(z), float(n + 99))
    p = asymptotic_p_below(state, 0.0, 500)
    assume(1e-300 < p < 0.999)

    v = state.n * tuning(500, 0.1) ** 2
    boundary = math.sqrt(2 * (v + 1) / v * math.log1p(math.sqrt(v + 1) / (2 * p)))

    assert boundary == pytest.approx(abs(z) * math.sqrt(state.n), rel=1e-6)


def test_before_the_burn_in_nothing_is_said() -> None:
    rng = np.random.default_rng(2)
    before, after = (MeanState.of(rng.normal(-9, 1, n)) for n in (99, 100))

    assert asymptotic_cs(before, 0.05, 500) == NotEstimable("99 units, an asymptotic interval needs at least 100")
    assert asymptotic_p_below(before, 0.0, 500) == 1.0
    assert isinstance(asymptotic_cs(after, 0.05, 500), Estimate)
    assert asymptotic_p_below(after, 0.0, 500) < 1e-9


@pytest.mark.parametrize("rare", [0, 1])
def test_of_rare_events_or_rare_non_events_nothing_is_said(rare: int) -> None:
    nine, ten = (MeanState.of([rare] * k + [1 - rare] * (1000 - k)) for k in (9, 10))

    assert asymptotic_cs(nine, 0.05, 500, least_events=10) == NotEstimable(
        "9 events, an asymptotic interval needs at least 10"
    )
    assert isinstance(asymptotic_cs(ten, 0.05, 500, least_events=10), Estimate)


def test_values_that_are_all_equal_say_nothing() -> None:
    state = MeanState.of([-0.5] * 500)

    assert asymptotic_cs(state, 0.05, 500) == NotEstimable(
        "all values are equal, an asymptotic interval needs variation"
    )
    assert asymptotic_p_below(state, 0.0, 500) == 1.0


def test_gates_look_at_the_worst_arm() -> None:
    rng = np.random.default_rng(3)
    many, few = MeanState.of(rng.random(500)), MeanState.of(rng.random(50))

    assert Gates().closed(many, many) is None
    assert Gates().closed(many, few) == Gates().closed(few, many) != None  # noqa: E711
    assert Gates(units=0).closed(MeanState.of([1.0]), many) is not None


def test_the_mixture_ratio_is_the_two_sided_normal_mixture_after_scaling() -> None:
    d, sd, n, tau = 0.07, 1.3, 800, 0.05
    rho = 2 * sd**2 / tau**2
    z2 = n * d**2 / (2 * sd**2)

    expected = 0.5 * math.log(rho / (n + rho)) + z2 * n / (2 * (n + rho))

    assert float(log_e_msprt(d, sd, n, tau)) == pytest.approx(expected)
    assert log_e_msprt([0.0, 5.0], 1.0, [0, 10**7], 1.0)[0] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0, 500), "alpha == 0.0"), ((1.0, 500), "alpha == 1.0"), ((0.05, 0), "n_star == 0"), ((0.05, -3), "n_star")],
)
def test_bad_input_is_refused_by_name(arguments: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asymptotic_cs(MeanState(200, 0.0, 200.0), *arguments)


def test_other_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="form == 'both'"):
        asymptotic_cs(MeanState(200, 0.0, 200.0), 0.05, 500, form="both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n == 0"):
        halfwidth(1, 0, 500, 0.05)
    with pytest.raises(ValueError, match="values contain inf, must all be finite"):
        MeanState.of([0.0, math.inf])
    with pytest.raises(ValueError, match="values contain nan, must all be finite"):
        MeanState.of([0.0, math.nan])
    with pytest.raises(ValueError, match=r"total_squares == 1\.0"):
        MeanState.from_sums(2, 4.0, 1.0)
    with pytest.raises(ValueError, match="n == -1"):
        MeanState.from_sums(-1, 0.0, 0.0)
    with pytest.raises(ValueError, match="effect_sd == 0"):
        log_e_msprt(0.0, 1.0, 10, 0.0)
