"""A controller's notifications, put together: what is told, its channels, and that only the leader's couriers run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import structlog
from sqlalchemy import Engine

from experiments.config.records import Config
from experiments.store import Store
from experiments.tables import NOTIFICATION
from experiments.telling.alerts import Alerts
from experiments.telling.escalation import Notification
from experiments.telling.events import channel_down
from experiments.telling.incident_log import IncidentLog
from experiments.telling.incidents import incident_log, policy_of
from experiments.telling.outbox import Delivery
from experiments.telling.outbox_store import StoredOutbox
from router.processes.secrets import SecretError

if TYPE_CHECKING:
    from router.notify.notifier import Notifier

_log = structlog.get_logger(__name__)
Leads = Callable[[], bool]
"""Whether this process leads; asked from the couriers' threads."""


class UnusableChannelError(Exception):
    """A channel cannot be used, or its URL or secret cannot be had; the message holds neither."""


class Desk:
    """What a controller tells people, for as long as the `with` block lasts.

    Without a channel nobody is told; what happens is kept all the same, for the admin API.

    Args:
        config: Names the channels and how often people are told.
        store: Keeps what happened, and what is on its way.
        leads: Whether this process leads.

    Raises:
        UnusableChannelError: One cannot be used.
    """

    def __init__(self, config: Config, store: Store, leads: Leads) -> None:
        log = incident_log(store)
        self._notifier = _notifier(config, LeadersOutbox(store.engine, leads), log)
        put = self._notifier.put if self._notifier is not None else _to_nobody
        self.alerts = Alerts(store.transitions, log, policy_of(config), put)
        """What the controller is to be given."""

    def __repr__(self) -> str:
        return f"<Desk {self._notifier or '<Notifier to nobody>'}>"

    def __enter__(self) -> Self:
        if self._notifier is not None:
            self._notifier.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._notifier is None:
            return
        self._notifier.close()
        for courier in self._notifier.couriers:
            _log.info(
                "courier_ended",
                channel=courier.channel.name,
                delivered=courier.delivered,
                failed=courier.failed,
                given_up=courier.given_up,
            )


class LeadersOutbox(StoredOutbox):
    """The store's outbox, which is empty for who does not lead: two couriers of a channel would send everything twice.

    Args:
        engine: Of the store.
        leads: Whether this process leads.
    """

    def __init__(self, engine: Engine, leads: Leads) -> None:
        super().__init__(engine, NOTIFICATION)
        self._leads = leads

    def due(self, channel: str, now: float, limit: int) -> list[Delivery]:
        """Return what is to be delivered now; nothing while another process leads."""
        return super().due(channel, now, limit) if self._leads() else []


def _notifier(config: Config, outbox: LeadersOutbox, log: IncidentLog) -> Notifier | None:
    settings = config.router.notifications
    if settings is None or not settings.channels:
        return None
    # Only here: the library of services is large, and most processes need none.
    from router.notify.channels import ChannelError  # noqa: PLC0415
    from router.notify.configured import channels_of  # noqa: PLC0415
    from router.notify.notifier import Notifier  # noqa: PLC0415

    def given_up(delivery: Delivery) -> None:
        log.record([channel_down(delivery.channel, time.time())])

    try:
        channels = channels_of(config)
    except (ChannelError, SecretError) as error:
        raise UnusableChannelError(str(error)) from error
    return Notifier(channels, outbox, on_given_up=given_up)


def _to_nobody(_: Sequence[Notification], __: float) -> int:
    return 0
