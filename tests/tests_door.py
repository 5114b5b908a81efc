"""The front door on a real loopback port, in a thread, with an application of the test: what is sent to it is raw."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from experiments.config.serving import ClientLimits
from router.front.server import FrontDoor
from router.processes.workers import bind

GET = b"GET / HTTP/1.1\r\nHost: client\r\n\r\n"


@dataclass
class Door:
    """A running server."""

    front: FrontDoor
    port: int
    server: uvicorn.Server
    logged: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def ask(self, raw: bytes) -> bytes:
        """Send something on a new connection and return all that comes until it ends."""
        with self.connect() as client:
            client.sendall(raw)
            return until_closed(client)

    def refused(self, reason: str) -> int:
        return self.front.counters.refused[reason]


@contextmanager
def door(app: Any, *, tls: tuple[Path, Path] | None = None, **limits: Any) -> Iterator[Door]:
    """Serve an application behind the front door for the length of the block.

    Args:
        app: The ASGI application.
        tls: Certificate and key.
        limits: Of `[router.clients]`.
    """
    listening = bind("127.0.0.1:0")
    front = FrontDoor(ClientLimits(**limits))
    config = uvicorn.Config(
        app,
        http=cast(Any, front),
        interface="asgi3",
        lifespan="off",
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=tls and tls[0],
        ssl_keyfile=tls and str(tls[1]),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield Door(front, listening.getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()


def until_closed(client: socket.socket | ssl.SSLSocket) -> bytes:
    """Return all that comes until the connection ends.

    Raises:
        ConnectionResetError: It did not end cleanly.
    """
    data = bytearray()
    while piece := client.recv(1 << 16):
        data += piece
    return bytes(data)


def until(client: socket.socket | ssl.SSLSocket, end: bytes) -> bytes:
    """Return what comes up to `end`."""
    data = bytearray()
    while not data.endswith(end):
        piece = client.recv(1 << 16)
        assert piece, bytes(data)
        data += piece
    return bytes(data)


async def read_whole(receive: Receive) -> bytes | None:
    """Return the body of a request; None if the client left."""
    body = b""
    while True:
        message: Message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def answer(send: Send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Answer whole, with a length."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with method, path and body."""
    body = await read_whole(receive)
    if body is not None:
        await answer(send, b"%b %b %b" % (scope["method"].encode(), scope["path"].encode(), body))
