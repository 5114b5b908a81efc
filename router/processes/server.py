"""The server of one proxy process: it ends in an order in which no request is lost.

After SIGTERM health is answered with 503, while requests are served as before, each the last of its connection. When
every load balancer that asks has learnt it (or nobody asks), the port is closed. Then the answers in flight end, then
the application.
"""

from __future__ import annotations

import asyncio
import socket
import time

import structlog
import uvicorn

from router.front.probes import LONGEST_WAIT_S, Probes
from router.front.server import FrontDoor

_log = structlog.get_logger(__name__)
_LOOK_S = 0.05


class ProxyServer(uvicorn.Server):
    """uvicorn's server, which tells load balancers that it ends before it closes its port.

    Args:
        config: Of uvicorn.
        door: What makes its connections.
        probes: Who asks for its health.
        grace_s: From the call to end to the last answer; what is waited for load balancers is part of it.
        owns_port: Whether no other process serves on this port: only then may it be said to be out of service.
    """

    def __init__(
        self, config: uvicorn.Config, door: FrontDoor, probes: Probes, grace_s: float, *, owns_port: bool
    ) -> None:
        super().__init__(config)
        self._door = door
        self._probes = probes
        self._grace_s = grace_s
        self._owns_port = owns_port

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell it, then close the port, then wait for the answers in flight."""
        began = time.monotonic()
        if self._owns_port:
            await self._tell(min(LONGEST_WAIT_S, self._grace_s / 2))
        took_s = time.monotonic() - began
        self.config.timeout_graceful_shutdown = max(1, round(self._grace_s - took_s))
        await super().shutdown(sockets)

    async def _tell(self, longest_s: float) -> None:
        """Wait, while requests are served, until everyone who keeps asking for our health knows that we end."""
        self._probes.ending = True
        self._door.take_leave()
        until = time.monotonic() + longest_s
        waited = False
        while self._probes.is_waited_for(now := time.monotonic(), longest_s) and not self.force_exit:
            if now > until:
                _log.warning("health_not_heard", reason="a load balancer may not know yet that this proxy ends")
                return
            waited = True
            await asyncio.sleep(_LOOK_S)
        if waited:
            await asyncio.sleep(2 * _LOOK_S)  # what was sent here before the last answer was read is on its way
