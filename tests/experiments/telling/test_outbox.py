"""A delivery is known by its id and channel, tried again with growing waits, and given up after an hour."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.telling.escalation import Notification, Severity
from experiments.telling.outbox import (
    GIVE_UP_S,
    KEEP_S,
    LONGEST_WAIT_S,
    Delivery,
    MemoryOutbox,
    failed,
    is_due,
    succeeded,
    wait_s,
)

NOW = 1_700_000_000.0


def delivery(id_: str = "one", channel: str = "chat", severity: Severity = Severity.INFO, **changes: float) -> Delivery:
    note = Notification(id=id_, severity=severity, due_at=NOW, title="t", text="x", keys=("k",))
    return Delivery(notification=note, channel=channel, **({"made_at": NOW, "next_at": NOW} | changes))


def ids(found: list[Delivery]) -> list[str]:
    return [one.notification.id for one in found]


def test_what_is_known_is_not_taken_again_whatever_became_of_it() -> None:
    outbox = MemoryOutbox()
    counts = [outbox.put([delivery(), delivery(), delivery(channel="mail")])]
    outbox.settle(succeeded(delivery(), NOW))
    counts.append(outbox.put([delivery(), delivery("two")]))

    assert counts == [2, 1]
    assert ids(outbox.due("chat", NOW, 10)) == ["two"]
    assert ids(outbox.due("mail", NOW, 10)) == ["one"]


def test_the_most_severe_comes_first_then_the_oldest() -> None:
    outbox = MemoryOutbox()
    outbox.put([delivery("b"), delivery("a", made_at=NOW - 1), delivery("c", severity=Severity.CRITICAL)])

    assert ids(outbox.due("chat", NOW, 10)) == ["c", "a", "b"]
    assert ids(outbox.due("chat", NOW, 1)) == ["c"]


def test_ids_are_forgotten_long_after_they_are_settled_and_never_before() -> None:
    outbox = MemoryOutbox()
    outbox.put([delivery("done"), delivery("open")])
    outbox.settle(succeeded(delivery("done"), NOW))
    outbox.put([delivery("later", made_at=NOW + KEEP_S)])
    kept = ids(outbox.all())
    outbox.put([delivery("last", made_at=NOW + KEEP_S + 1)])

    assert kept == ["done", "open", "later"]
    assert ids(outbox.all()) == ["open", "later", "last"]


def test_what_is_gone_is_settled_without_an_error() -> None:
    outbox = MemoryOutbox()

    outbox.settle(delivery())

    assert outbox.all() == []


def test_a_failure_waits_twice_as_long_each_time_up_to_five_minutes() -> None:
    one, waits, now = delivery(), [], NOW
    for _ in range(8):
        one = failed(one, now, "refused")
        waits.append(one.next_at - now)
        now = one.next_at

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert (one.attempts, one.trouble, one.is_open) == (8, "refused", True)


def test_after_an_hour_of_failures_it_is_given_up() -> None:
    one, now = delivery(), NOW
    while one.is_open:
        one = failed(one, now, "refused")
        now = one.next_at

    assert one.given_up_at is not None
    assert GIVE_UP_S <= one.given_up_at - NOW <= GIVE_UP_S + LONGEST_WAIT_S
    assert not is_due(one, now)


def test_a_clock_that_is_set_forward_costs_no_message() -> None:
    one = failed(delivery(), NOW + 10 * GIVE_UP_S, "refused")

    assert one.is_open


def test_a_clock_that_is_set_back_holds_nothing_up() -> None:
    one = failed(delivery(), NOW, "refused")

    assert [is_due(one, NOW + shift) for shift in (0, 4.9, 5, -86_400)] == [False, False, True, True]


@given(st.lists(st.booleans(), max_size=60), st.floats(0, 600))
def test_a_delivery_ends_once_and_in_one_way(tries: list[bool], late_s: float) -> None:
    one, now = delivery(), NOW
    for arrives in tries:
        if not one.is_open:
            break
        assert is_due(one, max(now, one.next_at))
        now = max(now, one.next_at) + late_s
        one = succeeded(one, now) if arrives else failed(one, now, "refused")

    assert one.is_open == (one.delivered_at is None and one.given_up_at is None)
    assert one.delivered_at is None or one.given_up_at is None
    assert one.delivered_at is None or one.trouble == ""
    assert one.attempts <= len(tries)


@given(st.integers(1, 10_000))
def test_waits_grow_and_are_bounded(attempts: int) -> None:
    assert 0 < wait_s(attempts) <= wait_s(attempts + 1) <= LONGEST_WAIT_S


@pytest.mark.parametrize("became", [succeeded(delivery(), NOW), failed(delivery(), NOW, "refused")])
def test_a_delivery_can_be_stored_as_json_and_read_again(became: Delivery) -> None:
    assert msgspec.json.decode(msgspec.json.encode(became), type=Delivery) == became
