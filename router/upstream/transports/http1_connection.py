"""One keep-alive connection in the clear: requests out, answers in, one at a time.

    connect -> idle -> asked -> answering -> whole -> idle      (reused only if both sides left it clean)
                         |          |          |
                         +----------+----------+---> closed     (timeout, reset, malformed, nobody wants the rest)

httptools parses (as in uvicorn). Who asked gets the answer as calls on a `Reader`, right where it is parsed: nothing
waits for a turn of the loop. An answer that is framed by neither a length nor chunks ends with its connection. Interim
answers (1xx) are passed over, trailers dropped. Bytes that nobody asked for close the connection: the next request must
never get them as its answer.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.upstream.transports.base import Body, RawHeaders, StreamedBody

_MOST_HEAD_BYTES = 256 * 1024
_BODILESS = frozenset({204, 304})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_ONE_WRITE_BYTES = 64 * 1024


class Reader(Protocol):
    """Who asked, and takes the answer as it comes. None of these may raise, or wait."""

    arrived_whole: bool

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Take the status and the headers."""

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; returns whether there is more unread now than should be."""

    def complete(self) -> None:
        """Take the end of the body."""

    def flush(self) -> None:
        """Act on what was taken since the last time: all of it had come at once."""

    def fail(self, error: UpstreamError) -> None:
        """Take the news that there will be no more."""


class Waiting:
    """Connections that wait for an answer's headers, with one timer for all of them.

    They all wait equally long, so whoever asked first is late first.

    Args:
        loop: Of this process.
        limit_s: Longest wait.
    """

    __slots__ = ("_due", "_limit_s", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._due: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Wait for one from now on."""
        self._due[connection] = self._loop.time() + self._limit_s
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_s, self._look)

    def discard(self, connection: Connection) -> None:
        """Wait for it no longer."""
        self._due.pop(connection, None)

    def _look(self) -> None:
        now = self._loop.time()
        late = []
        self._timer = None
        for connection, due in self._due.items():
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                break
            late.append(connection)
        for connection in late:
            self.discard(connection)
            connection.fail(UpstreamError(ErrorKind.TIMEOUT, "no answer within the first-byte timeout"))


class Connection(asyncio.Protocol):
    """One connection to an endpoint; carries one exchange at a time.

    Args:
        loop: Of this process.
        idle: Where it goes when it is free again.
        waiting: Those that wait for an answer's headers.
    """

    __slots__ = (
        "_bodiless",
        "_expects_head",
        "_framed",
        "_head_bytes",
        "_headers",
        "_idle",
        "_interim",
        "_keep",
        "_parser",
        "_reader",
        "_transport",
        "_until_close",
        "_upload",
        "_waiting",
        "_writable",
        "closed",
        "idle_since",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: list[Connection], waiting: Waiting) -> None:
        self.loop = loop
        self._idle = idle
        self._waiting = waiting
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._expects_head = False
        self._upload: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        """That were read while the head is incomplete."""
        self._bodiless = self._framed = self._interim = self._keep = self._until_close = False
        self.closed = False
        self.idle_since = 0.0

    def ask(self, head: bytes, body: Body, reader: Reader, *, bodiless: bool = False) -> None:
        """Send a request; its answer goes to the reader, which must `release` the connection in the end.

        Args:
            head: Request line and headers.
            body: The body, whole or as it comes.
            reader: Takes the answer.
            bodiless: The answer has no body whatever its headers say: it is one to HEAD.

        Raises:
            UpstreamError: The connection is closed.
        """
        if self._transport is None or self.closed:
            raise UpstreamError(ErrorKind.RESET, "the connection is closed")
        self._bodiless, self._keep = bodiless, False
        self._reader, self._expects_head, self._head_bytes = reader, True, 0
        if not isinstance(body, bytes):
            self._transport.write(head)
            self._upload = self.loop.create_task(self._send(body))
            return
        self._waiting.add(self)
        if len(body) <= _ONE_WRITE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

    async def _send(self, body: StreamedBody) -> None:
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
        if self._expects_head:
            self._waiting.add(self)

    def pause_writing(self) -> None:
        """Stop taking more of a streamed body: the endpoint is slower than the client."""
        self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        """Go on taking."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def pause(self) -> None:
        """Read no more for now: who asked has enough."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on after a pause."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def release(self, reader: Reader | None, *, clean: bool) -> None:
        """End an exchange: back to the pool if it left the connection clean, else closed.

        A reader that releases it twice must not end the exchange of somebody else that the connection carries by now.
        """
        if self._reader is not reader:
            return
        transport, self._reader = self._transport, None
        if self._expects_head:
            self._stop_waiting()
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

    def _stop_waiting(self) -> None:
        self._expects_head = False
        self._waiting.discard(self)

    def break_off(self, reader: Reader) -> None:
        """Fail an exchange from outside, if the connection still carries it."""
        if self._reader is reader:
            self.fail(UpstreamError(ErrorKind.RESET, "broken off"))

    def fail(self, error: UpstreamError) -> None:
        """Tell who asked, unless the answer is whole; and close."""
        self.closed = True
        if self._expects_head:
            self._stop_waiting()
        if self._transport is not None:
            self._transport.abort()
        if self._reader is not None and not self._reader.arrived_whole:
            self._reader.fail(error)

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
        if self._expects_head:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self.fail(UpstreamError(ErrorKind.MALFORMED, "the headers are too large"))
        # Only now: what comes behind a whole answer must be seen before the connection is used again.
        if self._reader is not None:
            self._reader.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell whoever waits; a body without framing is complete with that."""
        self.closed = True
        self.resume_writing()
        if self in self._idle:
            self._idle.remove(self)
        if self._until_close and error is None and self._reader is not None:
            self._reader.complete()
            self._reader.flush()
        else:
            self.fail(UpstreamError(ErrorKind.RESET, str(error or "closed before the answer was complete")))

    # --- httptools' callbacks -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin an answer; one that nobody asked for ends the connection."""
        if self._reader is None or self._reader.arrived_whole:
            raise ValueError("bytes that nobody asked for")
        self._headers = []
        self._until_close = self._framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; a trailer is dropped."""
        if not self._expects_head:
            return
        name = name.lower()
        if name in _FRAMING:
            self._framed = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand over the status and the headers, unless it was an interim answer."""
        if self._parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError("the answer is not HTTP/1.1")
        status = self._parser.get_status_code()
        if not 100 <= status < 600:
            raise ValueError("the answer's status is none of HTTP")
        self._interim = 100 <= status < 200
        if self._interim or self._reader is None or not self._expects_head:
            return
        self._stop_waiting()
        self._until_close = not self._framed and status not in _BODILESS and not self._bodiless
        self._reader.begin(status, tuple(self._headers))
        if self._bodiless:
            self._reader.complete()

    def on_body(self, data: bytes) -> None:
        """Hand on a piece of the body; more than fits waits in the kernel."""
        if self._reader is not None and self._reader.feed(data):
            self.pause()

    def on_message_complete(self) -> None:
        """End the answer."""
        if not self._interim and self._reader is not None:
            # Asked only here: once the message is over, the parser has forgotten. After an answer to HEAD it may wait
            # for a body that never comes, so such a connection is not kept.
            self._keep = self._parser.should_keep_alive() and not self._bodiless
            self._reader.complete()
