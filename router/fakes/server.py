"""Runs an ASGI app on a real loopback port, in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from experiments.config.serving import ClientLimits
from router.front.server import FrontDoor
from router.processes.workers import bind


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
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
