"""Hosts that load at the same time: no look passes over what is committed late."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from tests_builders import make_exchange

from experiments.loading import load_beside_others, wait_for_loads
from experiments.rows import exchange_values
from experiments.store import Store, open_store
from experiments.tables import EXCHANGE


@pytest.fixture(name="stores")
def _stores(migrated_postgres_url: str):
    """Two hosts' connections to one PostgreSQL."""
    stores = [open_store(migrated_postgres_url) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def insert(connection, number: int) -> None:
    from conftest import loaded  # noqa: PLC0415

    connection.execute(EXCHANGE.insert(), exchange_values(loaded(make_exchange(id=f"late-{number}"))))


@pytest.mark.postgres
def test_the_mark_waits_for_a_batch_that_has_the_lower_numbers_and_is_not_committed(stores: list[Store]) -> None:
    slow, quick = stores
    with ThreadPoolExecutor() as pool, slow.engine.begin() as connection:
        load_beside_others(connection)
        insert(connection, 1)
        with quick.engine.begin() as other:
            load_beside_others(other)
            insert(other, 2)
        mark = pool.submit(quick.watermarks)
        with pytest.raises(TimeoutError):
            mark.result(timeout=0.3)
        connection.commit()
        upto = mark.result(timeout=10).exchange

    with quick.engine.connect() as connection:
        below = connection.execute(select(func.count()).where(EXCHANGE.c.seq <= upto)).scalar_one()
    assert (upto, below) == (2, 2)


@pytest.mark.postgres
def test_a_batch_that_hangs_is_no_reason_to_wait_for_ever(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.loading._WAIT_MS", 100)
    with stores[0].engine.begin() as connection:
        load_beside_others(connection)
        with pytest.raises(OperationalError, match="lock timeout"):
            stores[1].watermarks()


@pytest.mark.postgres
def test_a_host_that_is_held_up_in_a_batch_loses_it_and_others_go_on(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.loading._SILENCE_MS", 100)
    connection = stores[0].engine.connect()
    load_beside_others(connection)
    insert(connection, 1)

    assert stores[1].watermarks().exchange == 0
    connection.invalidate()


def test_on_sqlite_there_is_nothing_to_wait_for(sqlite: Store) -> None:
    with sqlite.engine.begin() as connection:
        load_beside_others(connection)
        wait_for_loads(connection)
    assert sqlite.watermarks().exchange == 0
