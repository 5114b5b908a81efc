"""Old exchanges of epochs that are over go, with all that belongs to them; nothing else does. On both databases."""

from sqlalchemy import func, select
from tests_days import DAY, NOW, on_postgres

from experiments.retention.days import Span, day_of
from experiments.retention.dropped import dropped
from experiments.retention.dropping import drop_partition, drop_rows
from experiments.retention.partitions import add, partitions
from experiments.store import Store
from experiments.tables import EXCHANGE, FEEDBACK, LABEL, OUTCOME


def _left(store: Store) -> dict[str, int]:
    with store.engine.connect() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (EXCHANGE, OUTCOME, FEEDBACK, LABEL)
        }


def test_rows_go_in_batches_the_oldest_first_and_those_of_a_running_epoch_stay(store: Store, begin, serve) -> None:
    begin(1)
    begin(2)
    for days_ago in (40, 30, 20):
        serve(days_ago, epoch=1)
        serve(days_ago + 0.5, epoch=2)
    kept = serve(1, epoch=1)
    before = NOW - 10 * DAY

    assert [drop_rows(store.engine, before, 4, NOW, 10) for _ in range(3)] == [4, 2, 0]

    assert _left(store) == {"exchange": 8, "outcome": 4, "feedback": 4, "label": 0}
    assert kept in {row.exchange.id for row in store.exchanges("support", 1, 0, 99)}
    assert len(store.exchanges("support", 2, 0, 99)) == 6
    found = dropped(store.engine, "support", 1)
    assert found is not None
    assert found.exchanges == 6


@on_postgres
def test_a_partition_goes_at_once_unless_something_in_it_is_needed(postgres_days: Store, begin, serve) -> None:
    store = postgres_days
    begin(1)
    serve(5, epoch=1)
    serve(4, epoch=1)
    serve(3, epoch=1)
    begin(2)
    serve(4, epoch=2)
    with store.engine.connect() as connection:
        days = [p for p in partitions(connection) if day_of(NOW - 5 * DAY) <= p.starts_at <= day_of(NOW - 3 * DAY)]

    assert [drop_partition(store.engine, day, NOW, 2) for day in days] == [2, None, 2]

    assert _left(store) == {"exchange": 4, "outcome": 2, "feedback": 2, "label": 0}
    assert {row.exchange.at for row in store.exchanges("support", 1, 0, 99)} == {NOW - 4 * DAY}
    found = dropped(store.engine, "support", 1)
    assert found is not None
    assert (found.exchanges, found.keep_days) == (4, 2)
    add(store.engine, [Span(days[0].starts_at, days[0].ends_at)])  # its room is free again
