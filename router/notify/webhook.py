"""Our own webhook: a notification as signed JSON, and how a receiver verifies it.

The header `x-touchstone-signature` is `t=SECONDS,v1=HEX`: the time of sending, and HMAC-SHA256 under the shared secret
over `SECONDS.BODY`. A receiver refuses what is older than the replay window, and within it what has an `id` that it has
seen. `verify` needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime

import msgspec

from experiments.telling.escalation import Notification

SIGNATURE_HEADER = "x-touchstone-signature"
REPLAY_WINDOW_S = 300.0
_SIGNATURE = re.compile(r"t=(?P<seconds>\d{1,12}),v1=(?P<hex>[0-9a-f]{64})")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON that is posted."""

    version: int = 1
    id: str
    """The same for each try, and for each channel."""
    severity: str
    due_at: str
    """UTC, ISO 8601."""
    title: str
    text: str
    keys: tuple[str, ...]
    """What may be acknowledged."""
    repeat: int
    """How often it has been told before without an acknowledgement."""


def body_of(notification: Notification) -> bytes:
    """Return the body to be posted."""
    due_at = datetime.fromtimestamp(notification.due_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return msgspec.json.encode(
        Payload(
            id=notification.id,
            severity=notification.severity.value,
            due_at=due_at,
            title=notification.title,
            text=notification.text,
            keys=notification.keys,
            repeat=notification.repeat,
        )
    )


def sign(secret: str, body: bytes, now: float) -> str:
    """Return the value of the signature's header.

    Args:
        secret: Shared with the receiver.
        body: Exactly as it is sent.
        now: Wall-clock time of sending, in seconds since the epoch (UTC).

    >>> sign("s3cret", b"{}", 1_700_000_000.9)
    't=1700000000,v1=97926816e98fbb41ccb1673225ff29a2f35369099990e1b1561651e7bd097ebf'
    """
    return f"t={int(now)},v1={_digest(secret, int(now), body)}"


def verify(secret: str, header: str, body: bytes, now: float, window_s: float = REPLAY_WINDOW_S) -> bool:
    """Whether a request is ours and new; in constant time.

    Args:
        secret: Shared with the sender.
        header: The value of `x-touchstone-signature`.
        body: Exactly as it was received, before any parsing.
        now: Wall-clock time of the receiver, in seconds since the epoch (UTC).
        window_s: How far the time of sending may be from `now`, to either side.
    """
    found = _SIGNATURE.fullmatch(header)
    if found is None:
        return False
    seconds = int(found["seconds"])
    is_ours = hmac.compare_digest(found["hex"], _digest(secret, seconds, body))
    return is_ours and abs(now - seconds) <= window_s


def _digest(secret: str, seconds: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()
