"""The floor: a forwarder of httptools and uvloop that does nothing but forward, for `benchmarks.proxy`.

    python -m benchmarks.bare_forwarder PORT BACKEND_PORT

One protocol on each side, no header is looked at, nothing is assigned, timed, bounded, recorded or handled that goes
wrong. What Touchstone costs above this is what it does; what this costs above nginx is Python.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import httptools
import uvloop

Headers = list[tuple[bytes, bytes]]


class Backend(asyncio.Protocol):
    """A connection to the backend."""

    def __init__(self, free: list[Backend]) -> None:
        self.free = free
        self.client: Client | None = None
        self.headers: Headers = []
        self.chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser: Any = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self in self.free:
            self.free.remove(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.chunked = any(name.lower() == b"transfer-encoding" for name, _ in self.headers)
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        self.head = b"HTTP/1.1 %d -\r\n%b\r\n" % (self.parser.get_status_code(), b"".join(lines))

    def on_body(self, data: bytes) -> None:
        assert self.client is not None
        body = b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data
        self.client.transport.write(self.head + body)
        self.head = b""

    def on_message_complete(self) -> None:
        assert self.client is not None
        if self.chunked:
            self.client.transport.write(b"0\r\n\r\n")
        self.free.append(self)


class Client(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, free: list[Backend], port: int) -> None:
        self.free, self.port = free, port
        self.headers: Headers = []
        self.body: list[bytes] = []
        self.url = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser: Any = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.headers, self.body = [], []

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        lines = [b"%b: %b\r\n" % header for header in self.headers]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, b"".join(lines))
        data = head + b"".join(self.body)
        if self.free:
            self._ask(self.free.pop(), data)
        else:
            self.connecting = asyncio.ensure_future(self._connect(data))

    async def _connect(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, backend = await loop.create_connection(lambda: Backend(self.free), "127.0.0.1", self.port)
        self._ask(backend, data)

    def _ask(self, backend: Backend, data: bytes) -> None:
        backend.client = self
        backend.transport.write(data)


async def main(port: int, backend_port: int) -> None:
    """Forward until the process is ended."""
    free: list[Backend] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Client(free, backend_port), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
