"""Partitions of a real PostgreSQL: nothing is refused for want of one, and what came too early finds its own."""

from sqlalchemy import text
from tests_days import DAY, id_at, on_postgres

from experiments.retention.days import Span, day_of, first_id
from experiments.retention.partitions import add, is_partitioned, partitions
from experiments.store import Store

pytestmark = on_postgres


def _where(store: Store, id_: str) -> str:
    query = text("SELECT tableoid::regclass::text FROM exchange WHERE id = :id")
    with store.engine.connect() as connection:
        return str(connection.execute(query, {"id": id_}).scalar_one())


def _known(store: Store):
    with store.engine.connect() as connection:
        return partitions(connection)


def test_a_new_store_has_one_partition_that_ends_with_today_and_one_for_the_rest(store: Store, exchange, load) -> None:
    [first] = _known(store)
    today, later, odd = (exchange(id=id_at(first.ends_at + days * DAY, "a")) for days in (-0.5, 0.5, 9_999))
    load(today, later, odd, exchange(id="not-one-of-ours"))

    assert is_partitioned(store.engine)
    assert (first.name, first.start) == ("first", "")
    assert first.end == first_id(day_of(first.ends_at - 1) + DAY)
    places = [_where(store, stored.exchange.id) for stored in (today, later, odd)]
    assert [*places, _where(store, "not-one-of-ours")] == ["exchange_first", *["exchange_rest"] * 3]


def test_what_came_before_its_partition_is_moved_into_it_and_stays_one_of_a_kind(store: Store, pair, load) -> None:
    [first] = _known(store)
    at = first.ends_at + 0.5 * DAY
    live, shadow = pair({"id": id_at(at, "a"), "pair": id_at(at, "a")}, {"id": id_at(at, "b"), "pair": id_at(at, "a")})
    load(live, shadow)

    assert add(store.engine, [Span(first.ends_at, first.ends_at + DAY)]) == 1
    load(live, shadow)

    assert _where(store, live.exchange.id) == f"exchange_{_known(store)[-1].name}"
    assert store.count_exchanges() == {"live": 1, "shadow": 1}
    assert [(found.exchange.id, other.exchange.id) for found, other in store.unscored_pairs(9)] == [
        (live.exchange.id, shadow.exchange.id)
    ]


def test_a_look_reads_across_partitions_in_the_order_of_storing(store: Store, exchange, load) -> None:
    [first] = _known(store)
    add(store.engine, [Span(first.ends_at + n * DAY, first.ends_at + (n + 1) * DAY) for n in range(2)])
    days = (1.5, -0.5, 0.5, 1.6)
    for number, day in enumerate(days):
        load(exchange(id=id_at(first.ends_at + day * DAY, "a"), unit=f"{number}"))

    found = store.exchanges("support", 1, 0, store.watermarks().exchange)
    assert [row.exchange.unit for row in found] == ["0", "1", "2", "3"]
    with store.engine.connect() as connection:
        plan = "\n".join(
            connection.execute(text("EXPLAIN SELECT experiment FROM exchange WHERE id = '0189'")).scalars()
        )
    assert plan.count("exchange_") >= 1
    assert "Append" not in plan, "one partition is asked"
