"""The betting e-process: expectation 1 under the null, the same bits in any order, nothing lost at the edges."""

import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.betting import GRID, Side
from analysis.eprocess import (
    DifferenceCounts,
    log_e_betting,
    log_e_harm,
    log_e_ltw,
    log_e_many,
    log_e_noninferior,
    running_p,
    running_p_values,
)

counts = st.integers(0, 300)
scores = st.lists(st.floats(-1, 1).map(lambda x: round(x, 2)), max_size=60)
nulls = st.floats(-0.9, 0.9)
sides = st.sampled_from(["harm", "noninferiority"])


def _expectation(values: Sequence[float], chances: Sequence[float], n: int, null: float, side: Side) -> float:
    total = 0.0
    for places in itertools.product(range(len(values)), repeat=n):
        state = DifferenceCounts.of(values[i] for i in places)
        total += math.prod(chances[i] for i in places) * math.exp(log_e_betting(state, null, side))
    return total


@pytest.mark.parametrize("side", ["harm", "noninferiority"])
@pytest.mark.parametrize(
    ("values", "chances"),
    [((-1, 0, 1), (0.2, 0.5, 0.3)), ((-1, 0, 1), (0.1, 0.9, 0.0)), ((-0.7, 0.1, 0.4), (0.3, 0.4, 0.3)), ((0,), (1,))],
)
def test_the_expectation_at_the_null_is_one(values: Sequence[float], chances: Sequence[float], side: Side) -> None:
    mean = sum(v * c for v, c in zip(values, chances, strict=True))

    assert _expectation(values, chances, 5, mean, side) == pytest.approx(1, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_inside_of_the_null_the_expectation_is_one_at_most(loss: float, win: float, distance: float) -> None:
    chances = (loss / 2, 1 - (loss + win) / 2, win / 2)
    mean = chances[2] - chances[0]

    if mean - distance > -1:
        assert _expectation((-1, 0, 1), chances, 3, mean - distance, "harm") <= 1 + 1e-9
    if mean + distance < 1:
        assert _expectation((-1, 0, 1), chances, 3, mean + distance, "noninferiority") <= 1 + 1e-9


@given(scores, st.randoms(use_true_random=False), nulls, sides)
def test_neither_the_order_nor_the_shards_change_a_bit(
    differences: list[float], random: object, null: float, side: Side
) -> None:
    shuffled = list(differences)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    shards = [DifferenceCounts.of(shuffled[i::3]) for i in range(3)]

    whole = DifferenceCounts.of(differences)

    assert shards[2].merge(shards[0]).merge(shards[1]) == whole
    assert shards[0].merge(shards[1].merge(shards[2])) == whole
    assert log_e_betting(shards[1].merge(shards[2]).merge(shards[0]), null, side) == log_e_betting(whole, null, side)


@given(scores)
def test_an_array_is_counted_like_a_list_and_comes_back_from_json(differences: list[float]) -> None:
    state = DifferenceCounts.of(differences)

    assert DifferenceCounts.of_array(np.array(differences)) == state
    assert DifferenceCounts.from_dict(json.loads(json.dumps(state.to_dict()))) == state


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=30))
def test_whole_numbers_are_counted_without_a_sort_to_the_same_state(differences: list[int]) -> None:
    expected = DifferenceCounts.of(differences)

    assert DifferenceCounts.of_array(np.array(differences, dtype=np.int8)) == expected
    assert DifferenceCounts.of_array(np.array(differences, dtype=np.float64)) == expected


def test_numbers_of_numpy_fit_into_json_too() -> None:
    state = DifferenceCounts.of_counts({np.float64(0.5): np.int64(3), 0.25: 0})  # type: ignore[dict-item]

    assert json.dumps(state.to_dict()) == '{"counts": [[0.5, 3]]}'


def test_a_negative_zero_is_a_zero_in_every_shard() -> None:
    for state in (DifferenceCounts.of([-0.0]), DifferenceCounts.of_array([-0.0, 0.5])):
        assert math.copysign(1, state.counts[0][0]) == 1


@given(counts, counts, counts, nulls, sides)
def test_the_three_forms_agree_to_the_bit(losses: int, ties: int, wins: int, null: float, side: Side) -> None:
    state = DifferenceCounts.from_ltw(losses, ties, wins)
    expected = log_e_betting(state, null, side)

    assert log_e_ltw(losses, ties, wins, null, side) == expected
    assert log_e_ltw([[5], [losses]], ties, [wins, 2], null, side)[1, 0] == expected
    assert log_e_ltw(losses, ties, wins, [0.5, null], side)[1] == expected
    assert log_e_many([DifferenceCounts.of([0.3, 0.1]), state], null, side)[1] == expected


@given(st.lists(scores.map(DifferenceCounts.of), max_size=6), st.lists(nulls, min_size=1, max_size=3), sides)
def test_many_states_at_many_nulls_have_the_bits_of_each(
    states: list[DifferenceCounts], null: list[float], side: Side
) -> None:
    found = log_e_many(states, np.array(null)[:, None], side)

    assert found.shape == (len(null), len(states))
    assert found.tolist() == [[log_e_betting(state, m, side) for state in states] for m in null]


@given(counts, counts, counts, nulls)
def test_the_product_of_factors_is_what_is_computed(losses: int, ties: int, wins: int, null: float) -> None:
    bets = GRID / (1 - null)
    logs = [
        losses * math.log1p(b * (null + 1)) + ties * math.log1p(b * null) + wins * math.log1p(b * (null - 1))
        for b in bets
    ]

    found = float(log_e_ltw(losses, ties, wins, null, "harm"))

    assert found == pytest.approx(np.logaddexp.reduce(logs) - math.log(12), rel=1e-9, abs=1e-9)


@given(counts, counts, counts, st.floats(0.001, 0.9), st.floats(0.001, 0.9))
def test_noninferiority_is_monotone_in_the_margin(losses: int, ties: int, wins: int, one: float, two: float) -> None:
    small, large = sorted((one, two))
    state = DifferenceCounts.from_ltw(losses, ties, wins)

    assert log_e_noninferior(state, -large) >= log_e_noninferior(state, -small) - 1e-9
    assert log_e_harm(state, -large) <= log_e_harm(state, -small) + 1e-9


@pytest.mark.parametrize("null", [-0.999, -0.02, 0.0, 0.02, 0.999])
@pytest.mark.parametrize("ltw", [(0, 0, 0), (0, 10**7, 0), (10**7, 0, 0), (0, 0, 10**7), (10**7, 10**7, 10**7)])
def test_nothing_overflows_and_nothing_is_nan(ltw: tuple[int, int, int], null: float) -> None:
    state = DifferenceCounts.from_ltw(*ltw)

    for side in ("harm", "noninferiority"):
        assert math.isfinite(log_e_betting(state, null, side))
    assert log_e_betting(DifferenceCounts(), null, "harm") == 0.0


def test_ties_alone_say_nothing_about_a_mean_of_zero() -> None:
    assert log_e_harm(DifferenceCounts.from_ltw(0, 10**7, 0), 0.0) == 0.0


@given(st.lists(st.floats(-50, 50), max_size=20))
def test_the_running_p_value_never_rises_and_is_one_over_the_peak(logs: list[float]) -> None:
    found = running_p_values(logs)

    assert np.all(np.diff(found) <= 0)
    assert all(0 < p <= 1 for p in found)
    for look, p in enumerate(found):
        assert p == pytest.approx(running_p(max(logs[: look + 1])))


def test_a_p_value_of_a_hopeless_e_value_is_one() -> None:
    assert running_p(-1e9) == 1.0
    assert running_p(1e9) == 0.0


def test_the_mean_is_that_of_the_values_and_of_none_there_is_none() -> None:
    assert DifferenceCounts.from_ltw(3, 5, 2).mean == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="n == 0"):
        _ = DifferenceCounts().mean


def test_own_bets_are_taken_as_they_are() -> None:
    state = DifferenceCounts.from_ltw(1, 0, 0)

    assert log_e_betting(state, 0.0, "harm", np.array([0.5])) == pytest.approx(math.log(1.5))
    assert log_e_betting(state, 0.5, "noninferiority", np.array([0.1, 0.3])) == pytest.approx(
        math.log((1 - 0.15 + 1 - 0.45) / 2)
    )


@pytest.mark.parametrize("bet", [0.0, -0.1, 1 / 1.02, 2.0])
def test_a_bet_that_could_lose_more_than_all_is_refused(bet: float) -> None:
    with pytest.raises(ValueError, match=r"lambdas == .*, each must be in \(0, 0.980392\)"):
        log_e_betting(DifferenceCounts(), -0.02, "harm", np.array([bet]))


@pytest.mark.parametrize("value", [1.01, -2.0, float("nan"), float("inf")])
def test_a_difference_outside_of_its_bounds_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="difference == "):
        DifferenceCounts.of([value])
    with pytest.raises(ValueError, match="difference == "):
        DifferenceCounts.of_array([0.0, value])


def test_bad_counts_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="wins == -1"):
        DifferenceCounts.from_ltw(0, 0, -1)
    with pytest.raises(ValueError, match=r"losses == -3\.0, must be >= 0"):
        log_e_ltw([1, -3], 0, 0, 0.0, "harm")
    with pytest.raises(ValueError, match="ties == nan"):
        log_e_ltw(0, float("nan"), 0, 0.0, "harm")
    with pytest.raises(ValueError, match="null_mean == 1"):
        log_e_harm(DifferenceCounts(), 1)
    with pytest.raises(ValueError, match=r"null_mean == -1\.0"):
        log_e_many([DifferenceCounts()], -1, "harm")


@given(counts, counts, nulls)
def test_swapping_wins_and_losses_swaps_the_sides(losses: int, wins: int, null: float) -> None:
    assume(abs(null) < 0.9)
    assert log_e_ltw(losses, 7, wins, null, "harm") == pytest.approx(
        float(log_e_ltw(wins, 7, losses, -null, "noninferiority")), rel=1e-12, abs=1e-9
    )
