"""HTTP/1.1 in the clear on keep-alive connections: the transport of model traffic.

Written for streams of many small pieces, of which a general client makes more work than the network does. A connection
is `router.upstream.transports.http1_connection`; this module holds the connections, and answers that are waited for.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlsplit

from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.headers import BackendHeaders
from router.upstream.transports.base import Body, Limits, RawHeaders, refuse_if_exhausted
from router.upstream.transports.http1_connection import Connection, Waiting

_MOST_UNREAD_BYTES = 256 * 1024
_IDLE_S = 4.0
"""Shorter than the 5 seconds after which uvicorn and llama.cpp close: a request never meets a closing connection."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})


class Http1Answer:
    """An answer of which the headers have come; see `router.upstream.transports.base.Answer`."""

    __slots__ = (
        "_buffer",
        "_connection",
        "_error",
        "_head_waiter",
        "_unread_bytes",
        "_waiter",
        "arrived_bytes",
        "arrived_whole",
        "headers",
        "status",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._buffer: list[bytes] = []
        self._unread_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._head_waiter: asyncio.Future[None] = connection.loop.create_future()
        self._error: UpstreamError | None = None
        self.arrived_bytes = 0
        self.arrived_whole = False
        self.status = 0
        self.headers: RawHeaders = ()

    async def headers_come(self) -> None:
        """Wait for the status and the headers.

        Raises:
            UpstreamError: There will be none.
        """
        try:
            await self._head_waiter
        except BaseException:
            self._connection.release(self, clean=False)
            raise

    async def read(self) -> bytes:
        """Return the next piece of the body; empty only after a complete body.

        Raises:
            UpstreamError: The body broke off; what had come before is returned first.
        """
        if not self._buffer and not self.arrived_whole and self._error is None:
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        buffer = self._buffer
        if not buffer:
            if self._error is not None:
                raise self._error
            return b""
        data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        if self._unread_bytes > _MOST_UNREAD_BYTES:
            self._connection.resume()
        self._unread_bytes = 0
        return data

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._connection.release(self, clean=self.arrived_whole and not self._buffer)

    def break_off(self) -> None:
        """Close the connection; a waiting `read` raises."""
        self._connection.break_off(self)

    def translate(self, error: BaseException | None) -> BaseException | None:
        """Return an error as it is: `read` raises ours."""
        return error

    # --- called by the connection: a `Reader` -------------------------------------------------------------------------

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Take the status and the headers."""
        self.status, self.headers = status, headers
        if not self._head_waiter.done():
            self._head_waiter.set_result(None)

    def flush(self) -> None:
        """Do nothing: whoever waits is woken by what comes."""

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; returns whether there is more unread now than should be."""
        self._buffer.append(data)
        self.arrived_bytes += len(data)
        self._unread_bytes += len(data)
        self._wake()
        return self._unread_bytes > _MOST_UNREAD_BYTES

    def complete(self) -> None:
        """Take the end of the body."""
        self.arrived_whole = True
        self._wake()

    def fail(self, error: UpstreamError) -> None:
        """Take the news that there will be no more."""
        if not self.status:
            if not self._head_waiter.done():
                self._head_waiter.set_exception(error)
            return
        if self._error is None:  # what comes later follows from it
            self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None


class Origin(NamedTuple):
    """Where an endpoint is, as its base URL says."""

    host: str
    port: int
    prefix: str
    """What stands before every target: the path of the base URL."""
    authority: str
    """Value of the header `Host`."""

    def line(self, method: str, target: str) -> bytes:
        """Return the request line, with the header that always follows it."""
        return f"{method} {self.prefix}{target} HTTP/1.1\r\nhost: {self.authority}\r\n".encode("latin-1")


class Http1Transport:
    """The connections of one process to all endpoints in the clear.

    Args:
        limits: How long to wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._origins: dict[str, Origin] = {}
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self._waiting = Waiting(self._loop, limits.first_byte_s)

    def __repr__(self) -> str:
        return f"<Http1Transport [{sum(map(len, self._idle.values()))} idle]>"

    async def open(self, base_url: str, method: str, target: str, headers: BackendHeaders, body: Body) -> Http1Answer:
        """Send a request and wait for the response's headers.

        A kept connection may be closing just when it is used again; a request that may be repeated is, once.

        Raises:
            UpstreamError: No response was had.
        """
        origin = self.origin(base_url)
        head = request_head(origin, method, target, headers, body)
        kept = self.kept(origin)
        if kept is not None:
            try:
                return await _answer(kept, head, body, bodiless=method == "HEAD")
            except UpstreamError as error:
                if error.kind is not ErrorKind.RESET or method not in _IDEMPOTENT or not isinstance(body, bytes):
                    raise
        return await _answer(await self._connect(origin), head, body, bodiless=method == "HEAD")

    def origin(self, base_url: str) -> Origin:
        """Return what is to be known of an endpoint; parsed once."""
        return self._origins.get(base_url) or self._origins.setdefault(base_url, _origin(base_url))

    def kept(self, origin: Origin) -> Connection | None:
        """Take out the connection that was used last, if there is one; the others may time out."""
        idle = self._idle.get((origin.host, origin.port))
        while idle:
            connection = idle.pop()
            if not connection.closed and self._loop.time() - connection.idle_since < _IDLE_S:
                return connection
            connection.release(None, clean=False)
        return None

    async def _connect(self, origin: Origin) -> Connection:
        idle = self._idle.setdefault((origin.host, origin.port), [])
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop, idle, self._waiting), origin.host, origin.port
                )
        except (OSError, ValueError) as error:  # a timeout is an OSError, a host that cannot be encoded a ValueError
            refuse_if_exhausted(error)
            raise UpstreamError(ErrorKind.CONNECT, str(error) or type(error).__name__) from error
        return connection

    async def close(self) -> None:
        """Close the idle connections; those in use are closed by who uses them."""
        for idle in self._idle.values():
            while idle:
                idle.pop().release(None, clean=False)
        await asyncio.sleep(0)  # the transports close on the loop's next turn


def _origin(base_url: str) -> Origin:
    parts = urlsplit(base_url)
    return Origin(parts.hostname or "", parts.port or 80, parts.path.rstrip("/"), parts.netloc.rpartition("@")[2])


def request_head(origin: Origin, method: str, target: str, headers: BackendHeaders, body: Body) -> bytes:
    """Return the request line and all headers, as they go over the wire."""
    lines = [origin.line(method, target)]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if not isinstance(body, bytes):
        framing = b"transfer-encoding: chunked\r\n" if body.length is None else b"content-length: %d\r\n" % body.length
        lines.append(framing)
    elif body or method in _BODY_EXPECTED:
        lines.append(b"content-length: %d\r\n" % len(body))
    lines.append(b"\r\n")
    return b"".join(lines)


async def _answer(connection: Connection, head: bytes, body: Body, *, bodiless: bool) -> Http1Answer:
    answer = Http1Answer(connection)
    connection.ask(head, body, answer, bodiless=bodiless)
    await answer.headers_come()
    return answer
