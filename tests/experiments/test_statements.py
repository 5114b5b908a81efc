"""Pieces of SQL: the dialect is the database's, and a long list of keys comes in short ones, whole and in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import postgresql, sqlite

from experiments.statements import batches, upserting
from experiments.tables import DRAIN


@pytest.mark.parametrize(("url", "dialect"), [("sqlite://", sqlite), ("postgresql+psycopg://", postgresql)])
def test_an_upsert_is_of_the_databases_own_dialect(url: str, dialect) -> None:
    engine = create_mock_engine(url, executor=print)

    assert isinstance(upserting(engine, DRAIN), dialect.Insert)


@given(keys=st.lists(st.integers(), max_size=40), size=st.integers(1, 9))
def test_batches_are_the_keys_and_none_is_empty_or_too_long(keys: list[int], size: int) -> None:
    found = list(batches(keys, size))

    assert [key for batch in found for key in batch] == keys
    assert all(1 <= len(batch) <= size for batch in found)
