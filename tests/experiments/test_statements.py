"""Pieces of SQL: the dialect is the database's, and a long list of keys comes in short ones, whole and in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_mock_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError

from experiments import statements
from experiments.statements import batches, insert_new, upserting
from experiments.store import Store, open_store
from experiments.tables import DRAIN, SEGMENT


@pytest.mark.parametrize(("url", "dialect"), [("sqlite://", sqlite), ("postgresql+psycopg://", postgresql)])
def test_an_upsert_is_of_the_databases_own_dialect(url: str, dialect) -> None:
    engine = create_mock_engine(url, executor=print)

    assert isinstance(upserting(engine, DRAIN), dialect.Insert)


@given(keys=st.lists(st.integers(), max_size=40), size=st.integers(1, 9))
def test_batches_are_the_keys_and_none_is_empty_or_too_long(keys: list[int], size: int) -> None:
    found = list(batches(keys, size))

    assert [key for batch in found for key in batch] == keys
    assert all(1 <= len(batch) <= size for batch in found)


def _segments(*offsets: int) -> list[dict[str, object]]:
    return [{"name": f"{offset}.journal", "offset": offset, "records": 0, "damaged": 0} for offset in offsets]


def test_rows_that_are_there_already_stay_and_new_ones_are_added(store: Store) -> None:
    with store.engine.begin() as connection:
        insert_new(connection, SEGMENT, _segments(1, 2))
        insert_new(connection, SEGMENT, [row | {"records": 9} for row in _segments(2, 3)])
        found = connection.execute(select(SEGMENT.c.name, SEGMENT.c.records).order_by(SEGMENT.c.name)).all()

    assert [tuple(row) for row in found] == [("1.journal", 0), ("2.journal", 0), ("3.journal", 9)]


def test_no_rows_are_no_statement(store: Store) -> None:
    with store.engine.connect() as connection:
        insert_new(connection, SEGMENT, [])

        assert not connection.in_transaction()


def test_rows_that_are_too_long_for_one_statement_go_in_several(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(statements, "_BYTES_A_STATEMENT", 100)
    with store.engine.begin() as connection:
        insert_new(connection, SEGMENT, _segments(*range(10)))

        assert connection.execute(select(SEGMENT.c.offset).order_by(SEGMENT.c.offset)).scalars().all() == [*range(10)]


@pytest.mark.postgres
def test_a_number_that_no_column_takes_is_told_as_one(migrated_postgres_url: str) -> None:
    store = open_store(migrated_postgres_url)
    with store.engine.connect() as connection, pytest.raises(DataError):
        insert_new(connection, SEGMENT, _segments(2**70))
    store.close()
