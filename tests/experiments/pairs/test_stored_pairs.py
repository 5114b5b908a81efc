"""Whole pairs by their ids, through indexes."""

from __future__ import annotations

from sqlalchemy import text
from tests_builders import make_pair

from experiments.pairs.stored_pairs import stored_pairs
from experiments.store import Store


def test_a_pair_has_its_sides_as_far_as_they_are_stored(store: Store, load) -> None:
    load(*make_pair({"id": "p", "pair": "p"}, {"pair": "p", "id": "shadow of p"}))
    load(make_pair({"id": "alone", "pair": "alone"})[0])

    found = stored_pairs(store.engine, ["p", "alone", "unknown", "p"])

    assert found["p"].shadow is not None
    assert (found["p"].live.exchange.id, found["p"].shadow.exchange.id) == ("p", "shadow of p")
    assert (set(found), found["alone"].shadow) == ({"p", "alone"}, None)


def test_a_pair_is_erased_if_one_of_its_sides_is(store: Store, load) -> None:
    for name in ("p", "q"):
        load(*make_pair({"id": name, "pair": name}, {"pair": name, "id": f"shadow of {name}"}))
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE exchange SET erased_at = 1 WHERE id = 'shadow of p'"))

    found = stored_pairs(store.engine, ["p", "q"])

    assert (found["p"].is_erased, found["q"].is_erased) == (True, False)


def test_the_other_side_is_found_without_reading_all_exchanges(sqlite: Store) -> None:
    query = "EXPLAIN QUERY PLAN SELECT * FROM exchange WHERE pair IN ('a', 'b') AND role = 'shadow'"
    with sqlite.engine.connect() as connection:
        [plan] = [row[-1] for row in connection.execute(text(query))]

    assert "USING INDEX ix_exchange_shadow_of (pair=?)" in plan
