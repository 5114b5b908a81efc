"""Drains in the store: what holds now, and what was done."""

from experiments.drains import DrainStore
from experiments.model import Drain
from experiments.store import Store


def test_a_drain_asked_for_again_is_one_with_the_newest_reason_and_lifting_takes_only_its_own(store: Store) -> None:
    whole = Drain(backend="int4", since=5.0, actor="ops", reason="new weights")
    part = Drain(backend="int4", endpoint="http://a", since=6.0, actor="ops", reason="a fan")
    drains = DrainStore(store.engine)
    for drain in (Drain(backend="int4", since=1.0, actor="me", reason="first"), whole, part):
        drains.put(drain)
    assert store.drains() == [whole, part]

    assert drains.lift("int4", at=7.0, actor="asha")
    assert not drains.lift("int4", at=8.0, actor="asha"), "there is none left"

    assert store.drains() == [part]


def test_what_was_drained_and_lifted_stays_known_when_the_drain_is_gone(store: Store) -> None:
    drains = DrainStore(store.engine)
    drains.put(Drain(backend="int4", endpoint="http://a", since=5.0, actor="ops", reason="a fan"))
    drains.lift("int4", "http://a", at=7.0, actor="asha", reason="mended")
    drains.lift("int4", "http://a", at=8.0, actor="asha")

    done = [(event.at, event.action, event.endpoint, event.actor, event.reason) for event in drains.events()]

    assert done == [(5.0, "drained", "http://a", "ops", "a fan"), (7.0, "lifted", "http://a", "asha", "mended")]
    assert store.drains() == []
