"""The head of an answer as it goes over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from router.headers import RawHeaders

_BODILESS = frozenset({204, 304})


class AnswerHead(NamedTuple):
    """A head, and how the body behind it is framed."""

    data: bytes
    length: int | None
    """Of the body in bytes, as announced; None if it goes in chunks."""


def answer_head(
    status: int, headers: RawHeaders, added: Iterable[tuple[bytes, bytes]], *, keep_alive: bool
) -> AnswerHead:
    """Return the head of an answer to a request that is not HEAD, and comes from a client of HTTP/1.1.

    Names and values are those that a strict parser has read, and our own: there is nothing to check.

    Args:
        status: Of the backend.
        headers: For the client, names in lower case.
        added: Of the server itself.
        keep_alive: Whether the connection may be used again.
    """
    length: int | None = 0 if status in _BODILESS else None
    lines = [STATUS_LINE[status]]
    for name, value in (*added, *headers):
        if name == b"content-length":
            length = int(value)
        lines += (name, b": ", value, b"\r\n")
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    if length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    return AnswerHead(b"".join(lines), length)
