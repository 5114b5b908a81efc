"""Request bodies: held whole where they may be needed twice, passed on as they come where they are large.

A held body can be read by a rule, mirrored, and sent a second time. A streamed one is sent once, with bounded memory:
the client is read only as fast as the backend takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from experiments.config.serving import RouterSettings
from router.errors import BodyTooLargeError, ClientGoneError, OverloadedError


class StreamedBody:
    """A body on its way through; can be sent once.

    Args:
        held: What has been read of it already.
        receive: The rest of it.
        limit_bytes: Longest body.
        length: As announced; None if it was not.
    """

    __slots__ = ("_limit_bytes", "_receive", "error", "head", "length", "on_end", "passed_bytes", "started")

    def __init__(self, held: bytes, receive: Receive, limit_bytes: int, length: int | None) -> None:
        self.head = held
        self.length = length
        self._receive = receive
        self._limit_bytes = limit_bytes
        self.passed_bytes = 0
        self.started = False
        """Whether some of it was sent: then there is no second attempt."""
        self.error: Exception | None = None
        """Why it ended early: the client left, or sent too much."""
        self.on_end: Callable[[], None] = _nothing
        """Called once it has all been read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        assert not self.started, "a streamed body can be sent once"  # noqa: S101
        self.started = True
        piece, more = self.head, True
        while True:
            self.passed_bytes += len(piece)
            if self.passed_bytes > self._limit_bytes:
                self.error = BodyTooLargeError(self._limit_bytes)
                raise self.error
            if piece:
                yield piece
            if not more:
                break
            message = await self._receive()
            if message["type"] != "http.request":
                self.error = ClientGoneError()
                raise self.error
            piece, more = message.get("body", b""), message.get("more_body", False)
        self.on_end()


def _nothing() -> None:
    pass


class BodyReader:
    """Reads request bodies within the limits of one proxy process.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: RouterSettings) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self._stream_body_bytes = settings.stream_body_bytes
        self._max_held_bytes = settings.max_held_bytes
        self.held_bytes = 0
        """Of all requests that are being received or served."""

    async def read(self, receive: Receive, announced: int | None, *, may_stream: bool) -> bytes | StreamedBody:
        """Read a body whole, or as far as needed to know that it is to be streamed.

        Args:
            receive: The client.
            announced: The length in its headers, in bytes.
            may_stream: Whether nothing needs the body as a whole.

        Raises:
            BodyTooLargeError: It is larger than `max_body_bytes`.
            ClientGoneError: The client left.
            OverloadedError: Too many bytes are held already.
        """
        if announced is not None and announced > self.max_body_bytes:
            raise BodyTooLargeError(self.max_body_bytes)
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            if len(body) > self.max_body_bytes:
                raise BodyTooLargeError(self.max_body_bytes)
            return body
        return await self._rest(receive, message, announced, may_stream=may_stream)

    async def _rest(
        self, receive: Receive, message: Message, announced: int | None, *, may_stream: bool
    ) -> bytes | StreamedBody:
        body = bytearray()
        try:
            while message["type"] == "http.request":
                self._take(body, message.get("body", b""))
                if not message.get("more_body"):
                    return bytes(body)
                if may_stream and max(len(body), announced or 0) > self._stream_body_bytes:
                    return StreamedBody(bytes(body), receive, self.max_body_bytes, announced)
                message = await receive()
        finally:
            self.held_bytes -= len(body)
        raise ClientGoneError

    def _take(self, body: bytearray, piece: bytes) -> None:
        body += piece
        self.held_bytes += len(piece)
        if len(body) > self.max_body_bytes:
            raise BodyTooLargeError(self.max_body_bytes)
        if self.held_bytes > self._max_held_bytes:
            raise OverloadedError("too many large requests are being received")

    @contextmanager
    def holding(self, body: bytes | StreamedBody) -> Iterator[None]:
        """Count a body for as long as it is being served."""
        size = len(body.head) if isinstance(body, StreamedBody) else len(body)
        self.held_bytes += size
        try:
            yield
        finally:
            self.held_bytes -= size
