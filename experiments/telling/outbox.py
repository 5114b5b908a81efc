"""What is to be delivered to which channel, how often it was tried, and when to give up.

An outbox keeps deliveries; it sends nothing. A delivery is settled after it was sent, so a kill between the two sends
it again: at least once, and receivers tell by the id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

import msgspec

from experiments.telling.escalation import FORGET_S, Notification

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
"""Between two tries."""
GIVE_UP_S = 3600.0
"""What cannot be delivered for so long is given up: a critical event is told again by then, as a new notification."""
_FEWEST_TRIES = 5
"""Before giving up, whatever the clock says: one that is set forward must not cost a message."""
KEEP_S = 4 * FORGET_S
"""How long the ids of settled deliveries are kept, so that nothing is sent again."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notification on its way to one channel. Times are wall-clock, in seconds since the epoch (UTC)."""

    notification: Notification
    channel: str
    made_at: float
    attempts: int = 0
    next_at: float = 0.0
    """When to try next."""
    delivered_at: float | None = None
    given_up_at: float | None = None
    trouble: str = ""
    """Why the last try failed; never an address or a secret."""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be tried."""
        return self.delivered_at is None and self.given_up_at is None


class Outbox(Protocol):
    """Where deliveries are kept. Safe to call from several threads."""

    def put(self, deliveries: Iterable[Delivery]) -> int:
        """Keep those whose notification id and channel are not known yet; returns how many."""
        ...

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        """Return open deliveries of a channel for which `is_due` holds: the most severe first, then the oldest."""
        ...

    def settle(self, delivery: Delivery) -> None:
        """Replace a delivery by what became of it; no error if it is gone."""
        ...


def is_due(delivery: Delivery, now: float) -> bool:
    """Whether to try a delivery. One that seems to wait for too long has seen the clock set back, and does not wait."""
    return delivery.is_open and not now < delivery.next_at <= now + LONGEST_WAIT_S


def succeeded(delivery: Delivery, now: float) -> Delivery:
    """Return a delivery that arrived."""
    return msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, delivered_at=now, trouble="")


def failed(delivery: Delivery, now: float, trouble: str) -> Delivery:
    """Return a delivery after a try that failed: to be tried again after a wait that doubles, or given up."""
    attempts = delivery.attempts + 1
    is_over = attempts >= _FEWEST_TRIES and now >= delivery.made_at + GIVE_UP_S
    return msgspec.structs.replace(
        delivery,
        attempts=attempts,
        next_at=now + wait_s(attempts),
        given_up_at=now if is_over else None,
        trouble=trouble,
    )


def wait_s(attempts: int) -> float:
    """Return the wait after so many failed tries, in seconds.

    >>> [wait_s(attempts) for attempts in (1, 2, 3, 7, 1000)]
    [5.0, 10.0, 20.0, 300.0, 300.0]
    """
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(attempts - 1, 30)))


class MemoryOutbox:
    """An outbox that ends with the process: for a store in memory, and for tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Delivery] = {}

    def __repr__(self) -> str:
        return f"<MemoryOutbox [{len(self._kept)} deliveries]>"

    def put(self, deliveries: Iterable[Delivery]) -> int:
        """Keep those whose notification id and channel are not known yet; returns how many."""
        with self._lock:
            new = {_key(one): one for one in deliveries if _key(one) not in self._kept}
            self._kept |= new
            self._forget(max((one.made_at for one in new.values()), default=0.0))
            return len(new)

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        """Return open deliveries of a channel for which `is_due` holds: the most severe first, then the oldest."""
        with self._lock:
            found = [one for one in self._kept.values() if one.channel == channel and is_due(one, now)]
        return sorted(found, key=_urgency)[:limit]

    def settle(self, delivery: Delivery) -> None:
        """Replace a delivery by what became of it; no error if it is gone."""
        with self._lock:
            if _key(delivery) in self._kept:
                self._kept[_key(delivery)] = delivery

    def all(self) -> list[Delivery]:
        """Return everything that is kept, in the order in which it came."""
        with self._lock:
            return list(self._kept.values())

    def _forget(self, now: float) -> None:
        old = [key for key, one in self._kept.items() if not one.is_open and one.made_at < now - KEEP_S]
        for key in old:
            del self._kept[key]


def _key(delivery: Delivery) -> tuple[str, str]:
    return delivery.notification.id, delivery.channel


def _urgency(delivery: Delivery) -> tuple[int, float, str]:
    return -delivery.notification.severity.rank, delivery.made_at, delivery.notification.id
