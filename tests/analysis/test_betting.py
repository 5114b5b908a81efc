"""The kernel behind the betting e-processes: padding, mirror images, averaging."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.betting import (
    GRID,
    BetTable,
    Row,
    check_null_means,
    check_side,
    log_capitals,
    log_capitals_and_slopes,
    log_mean_exp,
    tables_of_similar_width,
)

values = st.floats(-1, 1).map(lambda x: round(x, 3))
rows = st.lists(st.tuples(values, st.integers(0, 500)).map(lambda x: (x[0], float(x[1]), -1.0, 1.0)), max_size=20)
nulls = st.floats(-0.9, 0.9)


@given(st.lists(rows, min_size=1, max_size=5), nulls)
def test_a_state_has_the_same_bits_alone_and_beside_others(states: list[list[Row]], null: float) -> None:
    together = log_capitals(BetTable.of(states), np.full(len(states), null), "harm")

    for index, state in enumerate(states):
        alone = log_capitals(BetTable.of([state]), np.array([null]), "harm")
        assert np.array_equal(together[:, index], alone[:, 0])


@given(st.lists(rows, max_size=8))
def test_states_are_grouped_by_width_and_none_is_lost(states: list[list[Row]]) -> None:
    seen = [int(i) for chosen, _ in tables_of_similar_width(states) for i in chosen]

    assert sorted(seen) == list(range(len(states)))
    for chosen, table in tables_of_similar_width(states):
        widths = [len(states[i]) for i in chosen]
        assert max(widths) <= 4 * max(1, min(widths))
        assert table.counts.shape == (len(chosen), max(widths))


@given(rows, nulls)
def test_a_bet_on_a_high_mean_is_one_on_a_low_mean_of_the_mirror_image(state: list[Row], null: float) -> None:
    mirrored: list[Row] = [(-x, n, -high, -low) for x, n, low, high in state]

    high = log_capitals(BetTable.of([state]), np.array([null]), "noninferiority")
    low = log_capitals(BetTable.of([mirrored]), np.array([-null]), "harm")

    assert np.array_equal(high, low)


@given(rows, st.floats(-0.8, 0.8))
def test_the_slope_is_the_derivative(state: list[Row], null: float) -> None:
    table, step = BetTable.of([state]), 1e-6

    below, above = (log_capitals(table, np.array([null + d]), "harm") for d in (-step, step))
    _, slope = log_capitals_and_slopes(table, np.array([null]))

    np.testing.assert_allclose((above - below) / (2 * step), slope, rtol=1e-4, atol=1e-3)


def test_a_capital_is_summed_in_blocks_with_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    table = BetTable.of([[(x, 3.0, -1.0, 1.0) for x in rng.uniform(-1, 1, 100)]])
    whole = log_capitals(table, np.array([0.1]), "harm")

    monkeypatch.setattr("analysis.betting._BLOCK", 7 * len(GRID))

    assert np.array_equal(log_capitals(table, np.array([0.1]), "harm"), whole)


def test_bets_outside_of_a_scale_bet_less() -> None:
    """The same value, where ten times as much was possible: the bold bet is a tenth."""
    narrow, wide = BetTable.of([[(-1.0, 1.0, -1.0, 1.0)]]), BetTable.of([[(-1.0, 1.0, -10.0, 10.0)]])

    found = [np.expm1(log_capitals(table, np.array([0.0]), "harm")) for table in (narrow, wide)]

    np.testing.assert_allclose(found[0], 10 * found[1])


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=20))
def test_the_average_of_bets_lies_between_the_least_and_the_largest(logs: list[float]) -> None:
    found = float(log_mean_exp(logs))

    assert min(logs) - 1e-9 <= found <= max(logs) + 1e-9
    assert found == pytest.approx(np.logaddexp.reduce(logs) - np.log(len(logs)), abs=1e-9)


@pytest.mark.parametrize("side", ["", "Harm", "benefit"])
def test_an_unknown_side_is_refused(side: str) -> None:
    with pytest.raises(ValueError, match=f"side == '{side}', must be 'harm' or 'noninferiority'"):
        check_side(side)


@pytest.mark.parametrize("null", [-1.0, 1.0, 2.0, float("nan")])
def test_a_null_mean_that_no_data_could_contradict_is_refused(null: float) -> None:
    with pytest.raises(ValueError, match=r"null_mean == .*, must be in"):
        check_null_means([0.0, null])
