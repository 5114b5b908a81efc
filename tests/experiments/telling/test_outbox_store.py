"""The outbox in the store does what the one in memory does, and outlives the process."""

import pytest
from sqlalchemy import select

from experiments.store import Store
from experiments.tables import NOTIFICATION
from experiments.telling.escalation import Notification, Severity
from experiments.telling.outbox import KEEP_S, Delivery, MemoryOutbox, Outbox, failed, succeeded
from experiments.telling.outbox_store import StoredOutbox

NOW = 1_700_000_000.123456


def delivery(id_: str = "one", channel: str = "chat", severity: Severity = Severity.INFO, **changes: float) -> Delivery:
    note = Notification(id=id_, severity=severity, due_at=NOW, title="t", text="हिन्दी", keys=("k", "l"), repeat=2)
    return Delivery(notification=note, channel=channel, **({"made_at": NOW, "next_at": NOW} | changes))


@pytest.fixture(name="outbox")
def _outbox(store: Store) -> StoredOutbox:
    return StoredOutbox(store.engine, NOTIFICATION)


def kept(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.execute(select(NOTIFICATION.c.id).order_by(NOTIFICATION.c.made_at)).scalars())


def test_what_was_put_comes_back_as_it_was(outbox: StoredOutbox) -> None:
    outbox.put([delivery()])

    assert outbox.due("chat", NOW, 10) == [delivery()]


def test_another_one_on_the_same_store_knows_what_was_settled(store: Store, outbox: StoredOutbox) -> None:
    outbox.put([delivery("done"), delivery("failed"), delivery("lost"), delivery("open")])
    outbox.settle(succeeded(delivery("done"), NOW))
    outbox.settle(failed(delivery("failed"), NOW, "refused"))
    outbox.settle(failed(delivery("lost", made_at=NOW - 3600, attempts=4), NOW, "refused"))

    next_one = StoredOutbox(store.engine, NOTIFICATION)

    assert next_one.put([delivery("done"), delivery("lost"), delivery("new")]) == 1
    assert [one.notification.id for one in next_one.due("chat", NOW, 10)] == ["new", "open"]
    [again] = [one for one in next_one.due("chat", NOW + 5, 10) if one.notification.id == "failed"]
    assert again == failed(delivery("failed"), NOW, "refused")


def test_settled_ones_are_forgotten_after_their_time_and_open_ones_never(store: Store, outbox: StoredOutbox) -> None:
    outbox.put([delivery("done"), delivery("open", made_at=NOW + 1)])
    outbox.settle(succeeded(delivery("done"), NOW))
    outbox.put([delivery("later", made_at=NOW + KEEP_S)])
    before = kept(store)
    outbox.put([delivery("last", made_at=NOW + KEEP_S + 1)])

    assert before == ["done", "open", "later"]
    assert kept(store) == ["open", "later", "last"]


def test_it_answers_as_the_one_in_memory_does(outbox: StoredOutbox) -> None:
    waiting = [delivery(f"{n}", severity=list(Severity)[n % 3], made_at=NOW - n) for n in range(9)]
    other = [
        delivery("other", channel="mail"),
        delivery("future", next_at=NOW + 9e9),
        delivery("soon", next_at=NOW + 9),
    ]
    both: list[Outbox] = [outbox, MemoryOutbox()]
    story = []
    for one in both:
        counts = [one.put([*waiting, *other]), one.put(waiting), one.put([])]
        one.settle(succeeded(waiting[2], NOW))
        one.settle(failed(waiting[5], NOW, "refused"))
        one.settle(delivery("unknown"))
        story.append((counts, [one.due("chat", NOW + late, limit) for late in (0, 5, 9, -86_400) for limit in (3, 99)]))

    assert story[0] == story[1]
