"""The front door: what a client may send and how long it may take, held before any of it reaches the application.

uvicorn's protocol class with three things added: heads are checked (`router.front.request_head`), limits are held
(`[router.clients]`), and a connection that has sent something unclear is answered, once, and closed; nothing behind it
is read as a request (`router.front.client_connection`). One sweep over all connections, at least once a second,
stands for every timer.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from experiments.config.serving import ClientLimits
from router.front.client_connection import ClientConnection

_GENTLE_S = 0.9
"""After the call to shut down, how long a request on a kept connection is still answered."""


class ServerCounters:
    """What the front door has refused or cut off, of one proxy process."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        """By reason: malformed, method, header_bytes, headers, header_timeout, body_timeout, read_timeout,
        connections, pipelined."""

    def __repr__(self) -> str:
        return f"<ServerCounters {dict(self.refused)}>"


class FrontDoor:
    """Makes the connections of one server; pass it to `uvicorn.Config` as `http`.

    Args:
        limits: What clients may use. Connections are limited to what the process has descriptors for, too: each
            takes one for the client and one for the backend.
    """

    def __init__(self, limits: ClientLimits) -> None:
        self.limits = limits
        self.counters = ServerCounters()
        self.draining = False
        """Every answer is the last of its connection."""
        self._closing = False
        self.lingering: set[ClientConnection] = set()
        """Answered for the last time, and read on for a moment."""
        self._connections: set[Any] = set()
        self.max_connections = min(limits.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        shortest_s = min(
            limits.header_timeout_s, limits.body_timeout_s, limits.read_timeout_s, limits.idle_timeout_s, 4.0
        )
        self._sweep_s = shortest_s / 4
        self._sweeping: asyncio.TimerHandle | None = None

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> ClientConnection:
        """Return the protocol of a new connection, as uvicorn asks for it."""
        self._connections = server_state.connections
        connection = ClientConnection(self, config, server_state, app_state, _loop)
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(self._sweep_s, self._sweep, connection.loop)
        return connection

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self._connections):
            connection.look(now)
        busy = self._connections
        self._sweeping = loop.call_later(self._sweep_s, self._sweep, loop) if busy else None

    def take_leave(self) -> None:
        """Answer no more than one request a connection from now on; new connections are taken as before."""
        self.draining = True

    def drain(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer no more than one request a connection from now on; those without one are closed in a moment."""
        self.take_leave()
        if not self._closing:
            self._closing = True
            loop.call_later(_GENTLE_S, self._close_idle)

    def _close_idle(self) -> None:
        for connection in tuple(self._connections):
            connection.close_if_idle()
