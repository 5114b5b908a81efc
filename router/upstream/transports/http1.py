"""HTTP/1.1 in the clear on keep-alive connections: the transport of model traffic.

Written for streams of many small pieces, of which a general client makes more work than the network does. httptools
parses (as in uvicorn); this module holds connections and answers.

    connect -> idle -> asked -> answering -> whole -> idle      (reused only if both sides left it clean)
                         |          |          |
                         +----------+----------+---> closed     (timeout, reset, malformed, nobody wants the rest)

An answer that is framed by neither a length nor chunks ends with its connection. Interim answers (1xx) are passed over,
trailers dropped. Bytes that nobody asked for close the connection: the next request must never get them as its answer.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.upstream.transports.base import Body, Limits, RawHeaders, StreamedBody, refuse_if_exhausted

_MOST_UNREAD_BYTES = 256 * 1024
_MOST_HEADER_BYTES = 256 * 1024
_IDLE_S = 4.0
"""Shorter than the 5 seconds after which uvicorn and llama.cpp close: a request never meets a closing connection."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})
_BODILESS = frozenset({204, 304})
_ONE_WRITE_BYTES = 64 * 1024


class Http1Answer:
    """An answer of which the headers have come; see `router.upstream.transports.base.Answer`."""

    __slots__ = (
        "_buffer",
        "_connection",
        "_error",
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
        self._error: UpstreamError | None = None
        self.arrived_bytes = 0
        self.arrived_whole = False
        self.status = 0
        self.headers: RawHeaders = ()

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

    # --- called by the connection -------------------------------------------------------------------------------------

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
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None


class Connection(asyncio.Protocol):
    """One connection to an endpoint; carries one exchange at a time.

    Args:
        loop: Of this process.
        idle: Where it goes when it is free again.
    """

    __slots__ = (
        "_answer",
        "_bodiless",
        "_head_waiter",
        "_header_bytes",
        "_headers",
        "_idle",
        "_interim",
        "_keep",
        "_parser",
        "_timer",
        "_transport",
        "_until_close",
        "_upload",
        "_writable",
        "closed",
        "idle_since",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: list[Connection]) -> None:
        self.loop = loop
        self._idle = idle
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: Http1Answer | None = None
        self._head_waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._upload: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._bodiless = self._interim = self._keep = self._until_close = False
        self.closed = False
        self.idle_since = 0.0

    async def ask(self, head: bytes, body: Body, *, bodiless: bool, first_byte_s: float) -> Http1Answer:
        """Send a request and wait for the headers of its answer.

        Args:
            head: Request line and headers.
            body: The body, whole or as it comes.
            bodiless: The answer has no body whatever its headers say: it is one to HEAD.
            first_byte_s: Longest wait.

        Raises:
            UpstreamError: The connection ended, the answer is malformed or late.
        """
        if self._transport is None or self.closed:
            raise UpstreamError(ErrorKind.RESET, "the connection is closed")
        self._bodiless, self._keep = bodiless, False
        answer = self._answer = Http1Answer(self)
        waiter = self._head_waiter = self.loop.create_future()
        if not isinstance(body, bytes):
            self._transport.write(head)
            self._upload = self.loop.create_task(self._send(body, first_byte_s))
        else:
            self._timer = self.loop.call_later(first_byte_s, self._too_late)
            if len(body) <= _ONE_WRITE_BYTES:
                self._transport.write(head + body)
            else:
                self._transport.writelines([head, body])
        try:
            await waiter
        except BaseException:
            self.release(answer, clean=False)
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
        return answer

    async def _send(self, body: StreamedBody, first_byte_s: float) -> None:
        """Pass on a streamed body as fast as the endpoint takes it; a body that breaks off fails the exchange."""
        assert self._transport is not None  # noqa: S101  # asked on an open connection
        chunked = body.length is None
        try:
            async for piece in body:
                if self._writable is not None:
                    await self._writable
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        except Exception as error:  # noqa: BLE001  # whatever its source raises, the request cannot be completed
            self.fail(UpstreamError(ErrorKind.RESET, f"the request's body broke off: {type(error).__name__}"))
            return
        if chunked:
            self._transport.write(b"0\r\n\r\n")
        self._upload = None
        if self._head_waiter is not None and not self._head_waiter.done():
            self._timer = self.loop.call_later(first_byte_s, self._too_late)

    def pause_writing(self) -> None:
        """Stop taking more of a streamed body: the endpoint is slower than the client."""
        self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        """Go on taking."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _too_late(self) -> None:
        self.fail(UpstreamError(ErrorKind.TIMEOUT, "no answer within the first-byte timeout"))

    def resume(self) -> None:
        """Read on after a pause."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def release(self, answer: Http1Answer | None, *, clean: bool) -> None:
        """End an exchange: back to the pool if it left the connection clean, else closed.

        An answer that is closed twice must not end the exchange of somebody else that the connection carries by now.
        """
        if self._answer is not answer:
            return
        transport, self._answer = self._transport, None
        unsent = self._upload is not None
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
        if transport is None or self.closed:
            return
        if clean and not unsent and self._keep and not transport.get_write_buffer_size():
            self.idle_since = self.loop.time()
            self._idle.append(self)
        else:
            self.closed = True
            transport.abort()

    def break_off(self, answer: Http1Answer) -> None:
        """Fail an exchange from outside, if the connection still carries it."""
        if self._answer is answer:
            self.fail(UpstreamError(ErrorKind.RESET, "broken off"))

    def fail(self, error: UpstreamError) -> None:
        """Tell whoever waits, and close."""
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_exception(error)
        elif self._answer is not None and not self._answer.arrived_whole:
            self._answer.fail(error)
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.fail(UpstreamError(ErrorKind.MALFORMED, str(error) or "the answer is not HTTP/1.1"))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits; a body without framing is complete with that."""
        self.closed = True
        self.resume_writing()
        if self in self._idle:
            self._idle.remove(self)
        if self._until_close and error is None and self._answer is not None:
            self._answer.complete()
        else:
            self.fail(UpstreamError(ErrorKind.RESET, str(error or "closed before the answer was complete")))

    # --- httptools' callbacks -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody asked for ends the connection."""
        if self._answer is None or self._answer.arrived_whole:
            raise ValueError("bytes that nobody asked for")
        self._headers = []
        self._header_bytes = 0
        self._until_close = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; a trailer is dropped."""
        if self._answer is None or self._answer.status:
            return
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MOST_HEADER_BYTES:
            raise ValueError("the headers are too large")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand over the status and the headers, unless it was an interim answer."""
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError("the answer is not HTTP/1.1")
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        answer, waiter = self._answer, self._head_waiter
        if self._interim or answer is None or waiter is None or waiter.done():
            return
        answer.status = status
        answer.headers = tuple(self._headers)
        framed = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._headers)
        self._until_close = not framed and status not in _BODILESS and not self._bodiless
        if self._bodiless:
            answer.complete()
        waiter.set_result(None)

    def on_body(self, data: bytes) -> None:
        """Hand on a piece of the body; more than fits waits in the kernel."""
        if self._answer is not None and self._answer.feed(data) and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the answer."""
        if not self._interim and self._answer is not None:
            # Asked only here: once the message is over, the parser has forgotten. After an answer to HEAD it may wait
            # for a body that never comes, so such a connection is not kept.
            self._keep = self._parser.should_keep_alive() and not self._bodiless
            self._answer.complete()


class _Origin(NamedTuple):
    host: str
    port: int
    prefix: str
    """What stands before every target: the path of the base URL."""
    authority: str
    """Value of the header `Host`."""


class Http1Transport:
    """The connections of one process to all endpoints in the clear.

    Args:
        limits: How long to wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._origins: dict[str, _Origin] = {}
        self._idle: dict[tuple[str, int], list[Connection]] = {}

    def __repr__(self) -> str:
        return f"<Http1Transport [{sum(map(len, self._idle.values()))} idle]>"

    async def open(self, base_url: str, method: str, target: str, headers: CIMultiDict[str], body: Body) -> Http1Answer:
        """Send a request and wait for the response's headers.

        A kept connection may be closing just when it is used again; a request that may be repeated is, once.

        Raises:
            UpstreamError: No response was had.
        """
        origin = self._origins.get(base_url) or self._origins.setdefault(base_url, _origin(base_url))
        head = _head(origin, method, target, headers, body)
        bodiless, first_byte_s = method == "HEAD", self._limits.first_byte_s
        kept = self._kept(origin)
        if kept is not None:
            try:
                return await kept.ask(head, body, bodiless=bodiless, first_byte_s=first_byte_s)
            except UpstreamError as error:
                if error.kind is not ErrorKind.RESET or method not in _IDEMPOTENT or not isinstance(body, bytes):
                    raise
        connection = await self._connect(origin)
        return await connection.ask(head, body, bodiless=bodiless, first_byte_s=first_byte_s)

    def _kept(self, origin: _Origin) -> Connection | None:
        """Return the connection that was used last; the others may time out."""
        idle = self._idle.get((origin.host, origin.port))
        while idle:
            connection = idle.pop()
            if not connection.closed and self._loop.time() - connection.idle_since < _IDLE_S:
                return connection
            connection.release(None, clean=False)
        return None

    async def _connect(self, origin: _Origin) -> Connection:
        idle = self._idle.setdefault((origin.host, origin.port), [])
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop, idle), origin.host, origin.port
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


def _origin(base_url: str) -> _Origin:
    parts = urlsplit(base_url)
    return _Origin(parts.hostname or "", parts.port or 80, parts.path.rstrip("/"), parts.netloc.rpartition("@")[2])


def _head(origin: _Origin, method: str, target: str, headers: CIMultiDict[str], body: Body) -> bytes:
    lines = [f"{method} {origin.prefix}{target} HTTP/1.1\r\nhost: {origin.authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    if not isinstance(body, bytes):
        lines.append("transfer-encoding: chunked\r\n" if body.length is None else f"content-length: {body.length}\r\n")
    elif body or method in _BODY_EXPECTED:
        lines.append(f"content-length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")
