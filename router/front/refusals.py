"""A request that is refused before the application sees it, and the answer that says so."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from router.errors import problem


class RefusedError(Exception):
    """A request that is not served, or a client that is cut off.

    Args:
        status: Of the answer.
        reason: Under which it is counted.
        detail: What to tell the client; nothing of what it sent.
    """

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


def malformed(detail: str) -> RefusedError:
    """Return the refusal of something that is not HTTP, or that may be read in two ways."""
    return RefusedError(400, "malformed", detail)


def too_many_bytes() -> RefusedError:
    """Return the refusal of a head that is larger than `max_header_bytes`."""
    return RefusedError(431, "header_bytes", "the request line and the headers are too large")


def too_many_headers(limit: int) -> RefusedError:
    """Return the refusal of a head of more headers than `max_headers`."""
    return RefusedError(431, "headers", f"the request has more than {limit} headers")


def farewell(refused: RefusedError) -> bytes:
    """Return the whole answer, as it goes over the wire: the last one of its connection."""
    body = bytes(problem(refused.status, refused.detail).body)
    retry = b"retry-after: 1\r\n" if refused.status == 503 else b""
    return (
        STATUS_LINE[refused.status]
        + b"content-type: application/problem+json\r\nconnection: close\r\n"
        + retry
        + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
