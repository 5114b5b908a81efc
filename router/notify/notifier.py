"""All channels together: takes notifications and delivers them, so that nobody waits for a channel.

`put` only fills the outbox. Each channel has a courier with a thread of its own: neither the controller nor another
channel waits for one that is slow or down.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from experiments.telling.escalation import Notification, audience
from experiments.telling.outbox import Delivery, Outbox
from router.notify.channels import Channel
from router.notify.courier import POLL_S, Courier


class Notifier:
    """The channels and their couriers.

    Args:
        channels: Each with a name of its own.
        outbox: Keeps what is to be delivered.
        on_given_up: Called, in a courier's thread, with what was given up: to tell it by the other channels.
        poll_s: How often each courier looks by itself, in seconds.

    Raises:
        ValueError: Two channels have the same name.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        outbox: Outbox,
        *,
        on_given_up: Callable[[Delivery], None] = lambda _: None,
        poll_s: float = POLL_S,
    ) -> None:
        names = Counter(channel.name for channel in channels)
        if twice := sorted(name for name, times in names.items() if times > 1):
            raise ValueError(f"channels have the same name: {', '.join(twice)}")
        self._outbox = outbox
        self._least = {channel.name: channel.least for channel in channels}
        self.couriers = [Courier(channel, outbox, on_given_up, poll_s) for channel in channels]
        """With their figures: what was delivered, failed, and given up."""

    def __repr__(self) -> str:
        return f"<Notifier to {', '.join(self._least) or 'nobody'}>"

    def start(self) -> None:
        """Start the threads."""
        for courier in self.couriers:
            courier.start()

    def put(self, notifications: Sequence[Notification], now: float) -> int:
        """Take notifications for delivery; returns how many deliveries are new. It waits for no channel.

        Args:
            notifications: As from `escalation.due`: those that were put before are known by their ids.
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        new = self._outbox.put(
            Delivery(notification=notification, channel=name, made_at=now, next_at=now)
            for notification in notifications
            for name in audience(notification, self._least)
        )
        if new:
            for courier in self.couriers:
                courier.wake()
        return new

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop the threads; returns whether all have ended.

        One that is in the middle of sending may be left behind after `timeout_s` seconds; its delivery stays in the
        outbox, and is made again by the next process.
        """
        for courier in self.couriers:
            courier.ask_to_stop()
        deadline = time.monotonic() + timeout_s
        ended = [courier.join(max(0.0, deadline - time.monotonic())) for courier in self.couriers]
        return all(ended)
