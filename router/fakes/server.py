"""Runs an ASGI app on a real loopback port, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from experiments.config.serving import ClientLimits
from router.front.server import FrontDoor
from router.processes.workers import bind


class _Server(uvicorn.Server):
    """Hears at once that it shall end: uvicorn itself looks ten times a second, and tests end hundreds of servers."""

    async def main_loop(self) -> None:
        """Wait for the end."""
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Event()
        await self.on_tick(0)  # sets the default headers, of which none changes: no date is sent
        if not self.should_exit:
            await self._told.wait()

    def end(self) -> None:
        """Shut down; from any thread, once it has started."""
        self.should_exit = True
        with suppress(AttributeError, RuntimeError):  # it never came to its loop, or that has ended
            self._loop.call_soon_threadsafe(self._told.set)


class _PromptServer(_Server):
    """Of a fake, whose clients need no tenth of a second to take leave."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but for a pause before and between its looks."""
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # uvicorn has no event
                    await asyncio.sleep(0.005)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def serving(app: ASGIApp, address: str = "127.0.0.1:0", *, clients: ClientLimits | None = None) -> Iterator[str]:
    """Serve an app for the length of the block; yields its base URL.

    Args:
        app: The application.
        address: Where to listen.
        clients: Serve through the front door, with these limits, as the proxy does.
    """
    listening = bind(address)
    config = uvicorn.Config(
        app,
        http="auto" if clients is None else cast(Any, FrontDoor(clients)),
        interface="asgi3",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = _PromptServer(config) if clients is None else _Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.end()
        thread.join(timeout=10)
        listening.close()
