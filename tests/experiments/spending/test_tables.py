"""The ledger's tables are in the schema of every store, as the migration makes them."""

from sqlalchemy import inspect, select

from experiments.spending.tables import SPEND, SPEND_MARK
from experiments.store import Store
from experiments.tables import EXCHANGE


def test_the_migration_makes_the_columns_that_the_code_knows(store: Store) -> None:
    found = inspect(store.engine)

    for table in (SPEND, SPEND_MARK):
        assert [column["name"] for column in found.get_columns(table.name)] == [column.name for column in table.c]
    keys = [column.name for column in SPEND.primary_key.columns]
    assert found.get_pk_constraint(SPEND.name)["constrained_columns"] == keys
    assert SPEND.metadata is EXCHANGE.metadata


def test_nothing_is_added_up_in_a_new_store(store: Store) -> None:
    with store.engine.connect() as connection:
        assert connection.execute(select(SPEND_MARK.c.exchange_seq)).scalars().all() == [0]
