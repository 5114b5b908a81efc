"""Where notifications go: any service that `apprise` knows by its URL, or a webhook of our own.

A channel's URL is a secret: most services carry their token in it. No log, no error and no `repr` shows more of it than
its scheme.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
import urllib.error
import urllib.request
import warnings
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

import apprise
from pydantic import SecretStr

from experiments.telling.escalation import Notification, Severity
from router.notify.webhook import SIGNATURE_HEADER, body_of, sign

SEND_TIMEOUT_S = 20.0
_TYPES = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}
_UNSEEN = re.compile(r"[^\S\n ]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and what reverses the direction of writing: slice values come from requests."""
_LONGEST = 4_000
"""Characters of a text."""


class SendError(Exception):
    """A notification did not arrive; the message says why, and holds no address."""


class ChannelError(Exception):
    """A channel cannot be used; the message names it, and holds no address."""


class Channel(Protocol):
    """One way to reach people."""

    name: str
    least: Severity
    """What is below is not sent."""

    def send(self, notification: Notification) -> None:
        """Send one notification, within some seconds.

        Raises:
            SendError: It did not arrive.
        """
        ...


class AppriseChannel:
    """A service of `apprise`: chat, mail, pager, telephone.

    Args:
        name: For logs and metrics.
        url: As the library's documentation says, for example `slack://...`.
        least: What is below is not sent.

    Raises:
        ChannelError: The library does not know such a service, or the URL is incomplete.
    """

    def __init__(self, name: str, url: SecretStr, least: Severity = Severity.INFO) -> None:
        _silence_library()
        self.name = name
        self.least = least
        self._scheme = scheme_of(url)
        asset = apprise.AppriseAsset(
            app_id="Touchstone", app_desc="Touchstone", secure_logging=True, async_mode=False, storage_mode="memory"
        )
        self._service = apprise.Apprise(asset=asset)
        with warnings.catch_warnings():
            # With its first service the library loads them all, and some use what Python is about to drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            is_known = self._service.add(url.get_secret_value())
        if not is_known:
            raise ChannelError(f"channel {name}: {self._scheme} is unknown to apprise, or its URL is incomplete")

    def __repr__(self) -> str:
        return f"<AppriseChannel {self.name} {self._scheme}>"

    def send(self, notification: Notification) -> None:
        """Send one notification.

        Raises:
            SendError: The service did not take it in time.
        """
        result = self._service.notify(
            title=readable(f"[{notification.severity.value}] {notification.title}"),
            body=readable(_with_keys(notification)),
            notify_type=_TYPES[notification.severity],
            # Said to be plain text, so that services which read markup escape it.
            body_format=apprise.NotifyFormat.TEXT,
            timeout=SEND_TIMEOUT_S,
        )
        if not result:
            raise SendError(f"the service did not take it: {result.status.name.lower()}")


class WebhookChannel:
    """A signed POST of JSON; 2xx says that it arrived, and a redirection is not followed.

    Args:
        name: For logs and metrics.
        url: `http://` or `https://`.
        secret: Shared with the receiver.
        least: What is below is not sent.
        timeout_s: Between two signs of life of the receiver.

    Raises:
        ChannelError: The URL is none of HTTP.
    """

    def __init__(
        self,
        name: str,
        url: SecretStr,
        secret: SecretStr,
        least: Severity = Severity.INFO,
        *,
        timeout_s: float = SEND_TIMEOUT_S / 2,
    ) -> None:
        if scheme_of(url) not in {"http://", "https://"} or not _host(url):
            raise ChannelError(
                f"channel {name}: the URL of a webhook begins with http:// or https://, and names a host"
            )
        self.name = name
        self.least = least
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"<WebhookChannel {self.name} {scheme_of(self._url)}>"

    def send(self, notification: Notification) -> None:
        """Post one notification, signed now.

        Raises:
            SendError: The receiver cannot be reached, or answered with anything but 2xx.
        """
        body = body_of(notification)
        headers = {
            "content-type": "application/json",
            SIGNATURE_HEADER: sign(self._secret.get_secret_value(), body, time.time()),
        }
        try:
            request = urllib.request.Request(self._url.get_secret_value(), body, headers, method="POST")  # noqa: S310  # the scheme is checked above
            self._opener.open(request, timeout=self._timeout_s).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise SendError(f"the receiver answered with status {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Not the message: some hold the address. `from None`: so does the traceback of what was caught.
            raise SendError(f"the receiver cannot be reached: {_reason(error)}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed for one receiver goes to no other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Follow nothing: the redirection itself is the answer, an error."""


def scheme_of(url: SecretStr) -> str:
    """Return as much of a channel's URL as may be shown.

    >>> scheme_of(SecretStr("slack://token/token/token"))
    'slack://'
    """
    scheme, separator, _ = url.get_secret_value().partition("://")
    return f"{scheme}://" if separator and scheme.isascii() and scheme.isalnum() else "an address without a scheme"


def readable(text: str) -> str:
    """Return a text that can be shown: without control characters, and not too long."""
    clean = _UNSEEN.sub(" ", text)
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 4]} ..."


def _with_keys(notification: Notification) -> str:
    if notification.severity is not Severity.CRITICAL:
        return notification.text or notification.title
    keys = ", ".join(notification.keys)
    return f"{notification.text or notification.title}\nTo be acknowledged: {keys}"


def _host(url: SecretStr) -> str:
    try:
        return urlsplit(url.get_secret_value()).hostname or ""
    except ValueError:
        return ""


def _reason(error: Any) -> str:
    inner = getattr(error, "reason", error)  # of a URLError
    return getattr(inner, "strerror", None) or type(inner if isinstance(inner, Exception) else error).__name__


def _silence_library() -> None:
    """Keep the log lines of the library, and of what it sends with, to themselves: they name addresses."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).propagate = False
