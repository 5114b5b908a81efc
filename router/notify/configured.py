"""The channels that a configuration names, with their secrets."""

from __future__ import annotations

from experiments.config.notifications import Channel as Settings
from experiments.config.records import Config
from experiments.telling.escalation import Severity
from router.notify.channels import AppriseChannel, Channel, WebhookChannel
from router.processes.secrets import resolve


def channels_of(config: Config) -> list[Channel]:
    """Return the configured channels.

    Raises:
        ChannelError: A channel cannot be used.
        SecretError: A channel's URL or secret cannot be had.
    """
    settings = config.router.notifications
    found = settings.channels.items() if settings is not None else ()
    return [_channel(name, channel, config) for name, channel in found]


def _channel(name: str, settings: Settings, config: Config) -> Channel:
    folder, least = config.path.parent, Severity(settings.least)
    url = resolve(settings.url, folder)
    if settings.secret is None:
        return AppriseChannel(name, url, least)
    return WebhookChannel(name, url, resolve(settings.secret, folder), least)
