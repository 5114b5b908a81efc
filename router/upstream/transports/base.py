"""What a transport and an answer are."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable
from typing import NamedTuple, Protocol

from router.errors import OverloadedError
from router.headers import BackendHeaders

_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Of an answer, in order: names in lower case."""


class StreamedBody(Protocol):
    """A body that is passed on as it comes; it can be iterated once."""

    length: int | None
    """In bytes, if it is known."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


Body = bytes | StreamedBody


class Limits(NamedTuple):
    """How long a transport waits, in seconds."""

    connect_s: float
    first_byte_s: float
    """From the request to the response's headers."""


class Answer(Protocol):
    """A response of which the headers have come."""

    status: int
    headers: RawHeaders

    def read(self) -> Awaitable[bytes]:
        """Return the next piece of the body, as it came; empty only after a complete body. Raises when it broke off."""

    @property
    def arrived_bytes(self) -> int:
        """Length of the body that has arrived so far."""

    @property
    def arrived_whole(self) -> bool:
        """Whether all of the body has arrived, read or not."""

    def close(self) -> None:
        """Give the connection back if the body was read to its end; else close it: nobody wants the rest."""

    def break_off(self) -> None:
        """Close the connection while somebody waits in `read`, which raises then."""

    def translate(self, error: BaseException | None) -> BaseException | None:
        """Return an error of `read` as one of ours, and any other as it is."""


class Transport(Protocol):
    """Opens answers; holds the connections of one process."""

    async def open(self, base_url: str, method: str, target: str, headers: BackendHeaders, body: Body) -> Answer:
        """Send a request and wait for the response's headers.

        An answer may come before the whole of a streamed body was sent; when it is closed, the rest stays unsent. The
        limit on the first byte counts from the end of the body.

        Raises:
            UpstreamError: No response was had.
            OverloadedError: This process has no file descriptor left: no fault of the backend.
        """

    async def close(self) -> None:
        """Close all connections."""


def refuse_if_exhausted(error: BaseException) -> None:
    """Tell a want of our own from a fault of the backend.

    Raises:
        OverloadedError: The error, or its cause, says that there is no file descriptor left.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_DESCRIPTOR:
            raise OverloadedError("no file descriptor is left for a connection to a backend") from error
        cause = cause.__cause__
