"""Which requests go the short way, and what they need of the proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.direct.exchange import DirectExchange
from router.front.entry import Head

if TYPE_CHECKING:
    from router.front.client_connection import ClientConnection
    from router.proxy import Proxy

_MOST_BODY_BYTES = 64 * 1024
"""A longer body is received with pauses, which ASGI's way knows how to make."""


class Entry:
    """The front door's way into the proxy; see `router.front.entry.DirectEntry`.

    Args:
        proxy: Plans and carries out.
        own_prefix: Paths that begin so are the application's own.
    """

    __slots__ = ("_most_bytes", "_own_prefix", "_proxy")

    def __init__(self, proxy: Proxy, own_prefix: str) -> None:
        self._proxy = proxy
        self._most_bytes = min(_MOST_BODY_BYTES, proxy.bodies.max_body_bytes)
        self._own_prefix = own_prefix

    def begin(self, connection: ClientConnection, head: Head) -> DirectExchange | None:
        """Return what serves a request of which the head has come; None if it is to be served over ASGI."""
        if head.method != "POST" or head.path.startswith(self._own_prefix):
            return None
        headers = dict(head.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > self._most_bytes or b"upgrade" in headers or b"expect" in headers:
            return None
        return DirectExchange(self._proxy, connection, head, headers)
