"""A page begins where the one before ended: whatever its size, every row comes once and in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_stores import NAME

from experiments.tables import EXCHANGE
from experiments.workbench import WorkbenchError, example, queries
from experiments.workbench.queries import Chosen

CHOSEN = Chosen(NAME, 1, slice="language=hi")


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 1_500))
def test_pages_of_any_size_are_the_rows(size: int) -> None:
    engine, statement = example()._store.engine, queries.exchanges(CHOSEN, "live")

    found = [row for page in queries.pages(engine, statement, EXCHANGE.c.seq)(size) for row in page]

    keys = [row[0] for row in found]
    assert keys == sorted(set(keys))
    assert len(found) == queries.count(engine, statement)


@pytest.mark.parametrize("text", ["language", "=hi", 'lang"uage=hi', "language=\0"])
def test_what_is_no_slice_never_reaches_the_database(text: str) -> None:
    with pytest.raises(WorkbenchError, match="slice"):
        queries.slice_of(text)
