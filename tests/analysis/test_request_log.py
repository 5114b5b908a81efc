"""Where requests belong: exposures by a unit's first request, and sessions told apart by quiet time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.request_log import Exposures, Requests, exposures, sessions_by_gap

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 2), st.booleans()), max_size=60)


@given(rows)
def test_a_unit_is_counted_once_by_its_first_request(table: list[tuple[int, int, int, bool]]) -> None:
    units, variants, stages, present = (
        (np.array(x, dtype=np.int64) for x in zip(*table, strict=True))
        if table
        else ([np.zeros(0, dtype=np.int64)] * 4)
    )
    found = exposures(Requests(units, stages=stages), variants)
    analysed = exposures(Requests(units, stages=stages), variants, present=present.astype(bool))

    first: dict[int, tuple[int, int]] = {}
    seen: dict[int, set[int]] = {}
    for unit, variant, stage, _ in table:
        first.setdefault(unit, (stage, variant))
        seen.setdefault(unit, set()).add(variant)
    complete = {unit for unit, _, _, has in table if has}
    names = sorted({stage for stage, _ in first.values()})
    for result, counted in ((found, set(first)), (analysed, complete)):
        wanted = tuple(
            tuple(sum(first[u] == (stage, variant) for u in counted) for variant in (0, 1)) for stage in names
        )
        assert result.stages == tuple(map(str, names))
        assert result.counts == wanted
    assert found.switched == sum(len(variants) > 1 for variants in seen.values())


def test_without_stages_there_is_one() -> None:
    assert exposures(Requests(np.array(["a", "b", "a"])), np.array([0, 1, 1])) == Exposures(("",), ((1, 1),), 1)


def test_a_session_ends_after_a_quiet_time_and_is_open_until_then() -> None:
    units = np.array([1, 2, 1, 1, 2, 1])
    seconds = np.array([0.0, 5.0, 30.0, 61.0, 90.0, 61.5])
    found = sessions_by_gap(units, seconds, gap_seconds=30.0, now_seconds=100.0)

    assert found.sessions.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.still_open.tolist() == [False, False, False, False, True, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 50)), max_size=60))
def test_sessions_are_those_of_a_walk_through_the_log(table: list[tuple[int, float]]) -> None:
    units = np.array([unit for unit, _ in table], dtype=np.int64)
    seconds = np.cumsum([pause for _, pause in table]) if table else np.zeros(0)
    found = sessions_by_gap(units, seconds, gap_seconds=40.0, now_seconds=float(seconds[-1]) + 1 if table else 0.0)

    last: dict[int, tuple[float, int]] = {}
    for row, (unit, at) in enumerate(zip(units.tolist(), seconds.tolist(), strict=True)):
        before, number = last.get(unit, (at, 0))
        last[unit] = (at, number + (at - before > 40.0))
        assert found.sessions[row] == last[unit][1]
    for row, unit in enumerate(units.tolist()):
        at, number = last[unit]
        assert found.still_open[row] == (found.sessions[row] == number and seconds[-1] + 1 - at <= 40.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exposures(Requests(np.array([1, 2])), np.array([0])), r"variants.shape == \(1,\)"),
        (lambda: exposures(Requests(np.array([1, 2])), np.array([0, 2])), "variants == 0 to 2, must be in 0 to 1"),
        (lambda: exposures(Requests(np.array([1]), stages=np.array([1, 2])), np.array([0])), r"stages.shape == \(2,\)"),
        (lambda: sessions_by_gap(np.array([1]), np.array([0.0]), 0.0, 1.0), "gap_seconds == 0.0, must be > 0"),
        (lambda: sessions_by_gap(np.array([1]), np.array([0.0, 1.0]), 1.0, 1.0), r"seconds.shape == \(2,\)"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
