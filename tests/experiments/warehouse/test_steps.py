"""Each row belongs to the first look that had read it; looks that cannot tell are refused."""

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.warehouse.records import WarehouseError
from experiments.warehouse.steps import SeenLook, Steps, checked_looks


def looks_of(ends: list[int]) -> list[SeenLook]:
    return [SeenLook(n, 100.0 + n, end, end, end) for n, end in enumerate(ends, start=1)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12).map(sorted))
def test_a_row_belongs_to_the_first_look_that_had_read_it(ends: list[int]) -> None:
    looks = looks_of(ends)
    rows = ibis.memtable(pa.table({"seq": list(range(1, 62))}))
    connection = ibis.duckdb.connect()

    found = connection.to_pyarrow(Steps(looks, ends).joined(rows, "seq").order_by("seq")).to_pylist()

    expected = [
        {"seq": seq, "look": first.number, "look_at": first.at, "before_at": first.at - 1 if first.number > 1 else None}
        for seq in range(1, 62)
        if (first := next((look for look in looks if look.outcome_seq >= seq), None)) is not None
    ]
    assert found == expected
    connection.disconnect()


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ([], "looks: there are no rows"),
        ([SeenLook(5, 1.0, 1, 1, 1)], "looks.number: 5 stands where 1 is expected"),
        ([SeenLook(1, 9.0, 1, 1, 1), SeenLook(2, 8.5, 1, 1, 1)], "looks.at: look 2 is 0.5 s before look 1"),
    ],
)
def test_looks_that_cannot_tell_are_refused(looks: list[SeenLook], message: str) -> None:
    with pytest.raises(WarehouseError, match=message):
        checked_looks(looks)
