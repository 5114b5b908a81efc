"""A courier delivers what is due, tries again what fails, and gives up after an hour."""

from collections.abc import Sequence

from structlog.testing import capture_logs
from tests_receiver import NOW, note

from experiments.telling.escalation import Notification, Severity
from experiments.telling.outbox import Delivery, MemoryOutbox
from router.notify.channels import SendError
from router.notify.courier import Courier


class Channel:
    """A channel of which it is said when it is down."""

    name = "chat"
    least = Severity.INFO

    def __init__(self) -> None:
        self.down: Exception | None = None
        self.tried: list[str] = []

    def send(self, notification: Notification) -> None:
        self.tried.append(notification.id)
        if self.down is not None:
            raise self.down


class AwayOutbox(MemoryOutbox):
    """An outbox whose store takes nothing while it is away."""

    away = False

    def settle(self, delivery: Delivery) -> None:
        if self.away:
            raise ConnectionError("postgresql://user:hunter2@db is away")
        super().settle(delivery)


class Clock:
    """Time that passes when it is told to."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def filled(outbox: MemoryOutbox, notes: Sequence[Notification]) -> MemoryOutbox:
    outbox.put(Delivery(notification=one, channel="chat", made_at=NOW, next_at=NOW) for one in notes)
    return outbox


def test_what_is_due_is_delivered_the_most_severe_first() -> None:
    channel, clock = Channel(), Clock()
    courier = Courier(channel, filled(MemoryOutbox(), [note("a"), note("b", Severity.CRITICAL)]))

    courier.deliver(clock)
    courier.deliver(clock)

    assert channel.tried == ["b", "a"]
    assert courier.delivered == 2


def test_a_channel_that_is_down_is_asked_once_and_tried_again_later() -> None:
    channel, clock, outbox = Channel(), Clock(), filled(MemoryOutbox(), [note("a"), note("b")])
    courier, channel.down = Courier(channel, outbox), SendError("refused")

    courier.deliver(clock)
    asked = list(channel.tried)
    channel.down = None
    courier.deliver(clock)
    clock.now += 5
    courier.deliver(clock)

    assert asked == ["a"]
    assert channel.tried == ["a", "b", "a"]
    assert (courier.delivered, courier.failed, courier.given_up) == (2, 1, 0)


def test_what_cannot_be_delivered_for_an_hour_is_logged_counted_and_told() -> None:
    channel, clock, outbox = Channel(), Clock(), filled(MemoryOutbox(), [note("a")])
    told: list[Delivery] = []
    courier, channel.down = Courier(channel, outbox, told.append), SendError("refused")

    with capture_logs() as logs:
        while not told:
            courier.deliver(clock)
            clock.now += 60
        courier.deliver(clock)

    assert [entry["event"] for entry in logs] == ["channel_is_down", "notification_given_up"]
    assert (logs[1]["channel"], logs[1]["notification"], logs[1]["reason"]) == ("chat", "a", "refused")
    assert (courier.given_up, courier.failed, len(channel.tried)) == (1, told[0].attempts, told[0].attempts)
    assert 3600 <= clock.now - NOW <= 3600 + 420


def test_a_channel_that_comes_back_is_logged_once() -> None:
    channel, clock, outbox = Channel(), Clock(), filled(MemoryOutbox(), [note("a"), note("b")])
    courier, channel.down = Courier(channel, outbox), SendError("refused")

    with capture_logs() as logs:
        courier.deliver(clock)
        channel.down = None
        clock.now += 60
        courier.deliver(clock)

    assert [entry["event"] for entry in logs] == ["channel_is_down", "channel_is_back"]


def test_a_fault_of_a_library_is_a_failed_try_that_is_told_by_its_name_alone() -> None:
    channel, clock, outbox = Channel(), Clock(), filled(MemoryOutbox(), [note("a")])
    courier, channel.down = Courier(channel, outbox), RuntimeError("slack://s3cret")

    with capture_logs() as logs:
        courier.deliver(clock)

    assert [one.trouble for one in outbox.all()] == ["RuntimeError"]
    assert "s3cret" not in str(logs)


def test_what_was_sent_is_not_sent_again_because_the_store_is_away() -> None:
    channel, clock, outbox = Channel(), Clock(), AwayOutbox()
    filled(outbox, [note("a")])
    courier, outbox.away = Courier(channel, outbox), True

    for _ in range(3):
        try:
            courier.deliver(clock)
        except ConnectionError:
            clock.now += 60
    outbox.away = False
    courier.deliver(clock)

    assert channel.tried == ["a"]
    assert [one.delivered_at for one in outbox.all()] == [NOW]


def test_the_thread_goes_on_when_the_store_is_away_and_logs_it_once_an_episode() -> None:
    channel, outbox = Channel(), AwayOutbox()
    filled(outbox, [note("a")])
    outbox.away = True
    courier = Courier(channel, outbox, poll_s=0.01)
    with capture_logs() as logs:
        courier.start()
        alive = courier.join(0.2)
        outbox.away = False
        courier.wake()
        ended_by_itself = courier.join(0.2)
        courier.ask_to_stop()
        ended = courier.join(5)

    assert (alive, ended_by_itself, ended) == (False, False, True)
    assert [(entry["event"], entry["trouble"]) for entry in logs] == [("courier_failed", "ConnectionError")]
    assert not outbox.all()[0].is_open
    assert channel.tried == ["a"]
