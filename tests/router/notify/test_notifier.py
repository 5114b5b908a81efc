"""Notifications go to each channel that wants them; none waits for another, and nobody for any of them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from tests_receiver import Receiver, eventually, note

from experiments.telling.escalation import EscalationPolicy, Event, Severity, due
from experiments.telling.outbox import Delivery, MemoryOutbox
from router.fakes.server import serving
from router.notify.channels import Channel, WebhookChannel
from router.notify.notifier import Notifier


def channel(name: str, url: str, least: Severity = Severity.INFO) -> WebhookChannel:
    return WebhookChannel(name, SecretStr(url), SecretStr("shared"), least, timeout_s=20)


@contextmanager
def running(*channels: Channel, outbox: MemoryOutbox | None = None) -> Iterator[Notifier]:
    notifier = Notifier(channels, outbox or MemoryOutbox(), poll_s=0.05)
    notifier.start()
    try:
        yield notifier
    finally:
        notifier.close()


def ids(receiver: Receiver) -> list[str]:
    return [json.loads(body)["id"] for _, _, body in receiver.got]


def delivered(notifier: Notifier) -> list[int]:
    return [courier.delivered for courier in notifier.couriers]


def test_each_channel_gets_what_is_severe_enough_once() -> None:
    chat, pager, now = Receiver(), Receiver(), time.time()
    notes = [note("a", Severity.INFO), note("b", Severity.CRITICAL)]
    with (
        serving(chat) as chat_url,
        serving(pager) as pager_url,
        running(channel("chat", chat_url), channel("pager", pager_url, Severity.CRITICAL)) as notifier,
    ):
        new = [notifier.put(notes, now), notifier.put(notes, now)]
        came = eventually(lambda: delivered(notifier) == [2, 1])

    assert came
    assert new == [3, 0]
    assert (sorted(ids(chat)), ids(pager)) == (["a", "b"], ["b"])


def test_f24_a_channel_that_hangs_delays_neither_who_tells_nor_another_channel() -> None:
    gate = threading.Event()
    hanging, good = Receiver(gate=gate), Receiver()
    with (
        serving(hanging) as slow_url,
        serving(good) as url,
        running(channel("slow", slow_url), channel("good", url)) as notifier,
    ):
        notifier.put([note("a")], time.time())
        hung = eventually(lambda: len(hanging.got) == 1)
        begun = time.monotonic()
        notifier.put([note(f"n{number}") for number in range(10)], time.time())
        took_s = time.monotonic() - begun
        came = eventually(lambda: delivered(notifier) == [0, 11])
        gate.set()
        in_the_end = eventually(lambda: delivered(notifier) == [11, 11])

    assert (hung, came, in_the_end) == (True, True, True)
    assert took_s < 1.0  # it fills a dictionary; the channel hangs for twenty seconds
    assert len(set(ids(good))) == len(ids(good)) == 11


def test_a_process_that_ends_while_a_channel_hangs_does_not_wait_for_it() -> None:
    gate, outbox = threading.Event(), MemoryOutbox()
    hanging = Receiver(gate=gate)
    with serving(hanging) as url:
        notifier = Notifier([channel("slow", url)], outbox, poll_s=0.05)
        notifier.start()
        notifier.put([note("a")], time.time())
        eventually(lambda: len(hanging.got) == 1)
        ended = notifier.close(timeout_s=0.1)
        still_open = outbox.all()[0].is_open
        gate.set()
        in_the_end = notifier.close()

    assert (ended, still_open, in_the_end) == (False, True, True)


def test_what_a_process_left_behind_is_delivered_by_the_next_one() -> None:
    receiver, outbox = Receiver(), MemoryOutbox()
    with serving(receiver) as url:
        Notifier([channel("chat", url)], outbox).put([note("a")], time.time())
        with running(channel("chat", url), outbox=outbox) as notifier:
            came = eventually(lambda: delivered(notifier) == [1])

    assert came
    assert ids(receiver) == ["a"]


def test_from_an_event_to_the_receiver_it_is_told_once_however_often_it_is_planned() -> None:
    receiver, now = Receiver(), time.time()
    event = Event(key="support/1/rolled_back/0", severity=Severity.CRITICAL, at=now, title="support is rolled back")
    with serving(receiver) as url, running(channel("chat", url)) as notifier:
        for _ in range(5):
            notifier.put(due([event], [], now, EscalationPolicy()), now)
        came = eventually(lambda: delivered(notifier) == [1])

    assert came
    assert len(receiver.got) == 1


def test_what_one_channel_gave_up_can_be_told_by_another() -> None:
    receiver, down, outbox = Receiver(), Receiver(status=500), MemoryOutbox()
    with serving(receiver) as url, serving(down) as down_url:
        channels = [channel("pager", down_url, Severity.CRITICAL), channel("chat", url)]

        def tell(delivery: Delivery) -> None:
            notifier.put([note(f"down:{delivery.channel}")], time.time())

        notifier = Notifier(channels, outbox, on_given_up=tell, poll_s=0.05)
        old = Delivery(
            notification=note("old", Severity.CRITICAL), channel="pager", made_at=time.time() - 3600, attempts=4
        )
        outbox.put([old])
        notifier.start()
        came = eventually(lambda: ids(receiver) == ["down:pager"])
        notifier.close()

    assert came
    assert [courier.given_up for courier in notifier.couriers] == [1, 0]


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="channels have the same name: chat"):
        Notifier([channel("chat", "http://a"), channel("chat", "http://b")], MemoryOutbox())


def test_without_channels_nothing_is_kept() -> None:
    outbox = MemoryOutbox()

    assert Notifier([], outbox).put([note("a")], time.time()) == 0
    assert outbox.all() == []
