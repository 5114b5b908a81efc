"""What a transport and an answer are."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from multidict import CIMultiDict

RawHeaders = tuple[tuple[bytes, bytes], ...]


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

    async def open(self, base_url: str, method: str, target: str, headers: CIMultiDict[str], body: bytes) -> Answer:
        """Send a request and wait for the response's headers.

        Raises:
            UpstreamError: No response was had.
        """

    async def close(self) -> None:
        """Close all connections."""
