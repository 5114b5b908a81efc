"""The seam through which the front door hands a request to an application without ASGI in between.

An application that has an attribute `direct_entry` is asked, for each ordinary request, whether it wants to serve it
itself. What it returns stands where uvicorn's cycle would, and is told of the client's bytes by plain calls: no task,
no event, no message. Every other request, and every application without the attribute, is served over ASGI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from router.front.client_connection import ClientConnection


@dataclass(slots=True)
class Head:
    """The head of a request that was checked."""

    version: str
    """1.0 or 1.1."""
    method: str
    """In upper case."""
    raw_path: bytes
    path: str
    """Percent-decoded."""
    query: bytes
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    keep_alive: bool
    """Whether the connection may be used again."""


class DirectCycle(Protocol):
    """A request that is served without ASGI; has of uvicorn's `RequestResponseCycle` what a connection looks at."""

    body: bytearray
    """Of the request, so far."""
    more_body: bool
    disconnected: bool
    """The client has left."""
    keep_alive: bool
    response_started: bool
    response_complete: bool

    @property
    def message_event(self) -> Any:
        """Its `set` is called when `body`, `more_body` or `disconnected` may have changed."""

    def start(self) -> None:
        """Serve the request, which is whole now."""

    def client_takes_more(self) -> None:
        """Go on writing: the client has taken what waited for it."""


class DirectEntry(Protocol):
    """What an application has as `direct_entry`."""

    def begin(self, connection: ClientConnection, head: Head) -> DirectCycle | None:
        """Return what serves a request of which the head has come; None if it is to be served over ASGI."""
