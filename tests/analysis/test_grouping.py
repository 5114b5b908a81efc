"""Rows brought together by id: exact for any ids, in the order of the log within each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import grouping
from analysis.grouping import Groups, group, group_pairs, labelled_groups

ids = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40).map(lambda x: np.array(x, dtype=np.int64)),
    st.lists(st.integers(0, 2**64 - 1), max_size=40).map(lambda x: np.array(x, dtype=np.uint64)),
    st.lists(st.integers(2**63 - 9, 2**63 + 10**9), max_size=40).map(lambda x: np.array(x, dtype=np.uint64)),
    st.lists(st.integers(-3, 3), max_size=40).map(lambda x: np.array(x, dtype=np.int8)),
    st.lists(st.integers(0, 100_000), max_size=40).map(lambda x: np.array(x, dtype=np.int64)),
    st.lists(st.booleans(), max_size=40).map(lambda x: np.array(x, dtype=np.bool_)),
    st.lists(st.text("ab\u0915\U0001f600", max_size=9), max_size=40).map(lambda x: np.array(x, dtype=np.str_)),
    st.lists(st.text("ab", max_size=9), max_size=40).map(lambda x: np.array([t.encode() for t in x], dtype=np.bytes_)),
    st.lists(st.text("ab", max_size=3), max_size=40).map(lambda x: np.array(x, dtype=object)),
)


def _check(array: np.ndarray, found: Groups) -> None:
    expected: dict[object, list[int]] = {}
    for row, item in enumerate(array.tolist()):
        expected.setdefault(item, []).append(row)
    parts = np.split(found.order, found.starts[1:]) if len(array) else []

    assert sorted(part.tolist() for part in parts) == sorted(expected.values())


@given(ids)
def test_groups_are_those_of_a_dictionary(array: np.ndarray) -> None:
    found = group(array)

    _check(array, found)
    assert found.sizes.sum() == len(array)
    assert (array[found.first_rows[found.codes()]] == array).all()


@pytest.mark.parametrize("multiplier", [0, 1 << 60, 0x9E3779B97F4A7C15])
def test_texts_with_the_same_hash_are_kept_apart(multiplier: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_MULTIPLIER", np.uint64(multiplier))
    rng = np.random.default_rng(1)
    for n in (1, 2, 50, 20_000):
        array = np.char.add("user-", rng.integers(0, n // 3 + 1, n).astype(str))
        _check(array, group(array))


@given(st.lists(st.tuples(st.integers(0, 4), st.text("ab", max_size=1)), max_size=40))
@settings(max_examples=50)
def test_pairs_of_ids_are_groups_of_their_own(rows: list[tuple[int, str]]) -> None:
    first, second = np.array([a for a, _ in rows], dtype=np.int64), np.array([b for _, b in rows], dtype=np.str_)
    joined = np.array([f"{a}|{b}" for a, b in rows], dtype=np.str_)

    _check(joined, group_pairs(group(first), group(second)))


@given(ids, st.data())
def test_what_is_kept_stays_together_in_order(array: np.ndarray, data: st.DataObject) -> None:
    found = group(array)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array))), dtype=np.bool_)
    kept = found.keep(flags)

    rows = found.order[flags]
    assert kept.order.tolist() == rows.tolist()
    assert len(kept.starts) == len(set(array[rows].tolist()))
    assert found.any(flags).sum() == len(kept.starts)


@given(ids)
def test_labels_rise_and_name_their_rows(array: np.ndarray) -> None:
    found, labels = labelled_groups(array)

    items = [array[row] for row in found.first_rows]
    assert items == sorted(set(array.tolist()))
    assert len(labels) == len(found.starts)
    _check(array, found)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1.0, 2.0]), "users.dtype == 'float64', must be integers or strings"),
        (np.array([[1, 2]]), r"users.shape == \(1, 2\), must be \(requests,\)"),
        (np.array([1, "1"], dtype=object), "users holds objects of other types"),
    ],
)
def test_bad_input_is_named(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group(array, "users")
