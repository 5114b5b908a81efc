"""Carries the notifications of one channel, in a thread of its own, from the outbox to people.

A channel that is down is tried again with growing waits; what it has not taken for an hour is given up, logged and
counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from experiments.telling.outbox import Delivery, Outbox, failed, succeeded
from router.notify.channels import Channel, SendError

_log = structlog.get_logger(__name__)
POLL_S = 2.0
"""How often to look for what another process has put, and for what is to be tried again."""
_AT_A_TIME = 20


class Courier:
    """The thread of one channel.

    Args:
        channel: Where to.
        outbox: Where from.
        on_given_up: Called, in the thread, with what was given up.
        poll_s: How often to look when nobody wakes it, in seconds.
    """

    def __init__(
        self,
        channel: Channel,
        outbox: Outbox,
        on_given_up: Callable[[Delivery], None] = lambda _: None,
        poll_s: float = POLL_S,
    ) -> None:
        self.channel = channel
        self._outbox = outbox
        self._on_given_up = on_given_up
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify-{channel.name}", daemon=True)
        self._is_down = False
        self._owed: Delivery | None = None
        """What was tried, and could not be settled: it must not be sent again only because the store is away."""
        self.delivered = 0
        """Notifications that arrived."""
        self.failed = 0
        """Tries that failed."""
        self.given_up = 0
        """Notifications that were given up."""

    def __repr__(self) -> str:
        return f"<Courier to {self.channel.name} [{self.delivered} delivered, {self.given_up} given up]>"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something to deliver."""
        self._wake.set()

    def ask_to_stop(self) -> None:
        """Ask the thread to end after the notification that it is sending."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; returns whether it has ended."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def deliver(self, now: Callable[[], float] = time.time) -> None:
        """Deliver what is due, until something fails: a channel that is down is not asked twenty times."""
        if self._owed is not None:
            self._settle(self._owed)
        for delivery in self._outbox.due(self.channel.name, now(), _AT_A_TIME):
            if self._stop.is_set():
                return
            after = self._try(delivery, now)
            self._settle(after)
            if after.delivered_at is None:
                return

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        trouble = ""
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.deliver()
                trouble = ""
            except Exception as error:  # noqa: BLE001  # the store may be away for minutes; the thread goes on
                if type(error).__name__ != trouble:
                    trouble = type(error).__name__
                    _log.error("courier_failed", channel=self.channel.name, trouble=trouble)
            if not self._stop.is_set():
                self._wake.wait(self._poll_s)

    def _settle(self, after: Delivery) -> None:
        self._owed = after
        self._outbox.settle(after)
        self._owed = None
        if after.given_up_at is not None:
            self._on_given_up(after)

    def _try(self, delivery: Delivery, now: Callable[[], float]) -> Delivery:
        try:
            self.channel.send(delivery.notification)
        except SendError as error:
            return self._failed(delivery, now(), str(error))
        except Exception as error:  # noqa: BLE001  # a library's fault is one more way of not arriving
            # By its name alone: the message may hold the address.
            return self._failed(delivery, now(), type(error).__name__)
        self.delivered += 1
        if self._is_down:
            self._is_down = False
            _log.info("channel_is_back", channel=self.channel.name)
        return succeeded(delivery, now())

    def _failed(self, delivery: Delivery, now: float, trouble: str) -> Delivery:
        self.failed += 1
        if not self._is_down:
            self._is_down = True
            _log.warning("channel_is_down", channel=self.channel.name, reason=trouble)
        after = failed(delivery, now, trouble)
        if after.given_up_at is not None:
            self.given_up += 1
            _log.error(
                "notification_given_up",
                channel=self.channel.name,
                notification=delivery.notification.id,
                attempts=after.attempts,
                reason=trouble,
            )
        return after
