"""Headers on their way through: what a proxy must drop, keep and add (RFC 9110, section 7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from router.errors import EXCHANGE_HEADER

RawHeaders = Iterable[tuple[bytes, bytes]]
BackendHeaders = list[tuple[bytes, bytes]]
"""What a backend is sent, in order: names in lower case, and everything in the bytes that it came in."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Length and host are those of the request that we make; `expect` was answered by our own server.
_REPLACED = frozenset({b"host", b"content-length", b"expect"})
_NOT_SENT = HOP_BY_HOP | _REPLACED
_OURS = b"x-touchstone-"
_IDENTITY = (b"accept-encoding", b"identity")
FEEDBACK_TOKEN = b"x-touchstone-feedback-token"
"""Comes with an answer, and is shown with the feedback on it."""


def _connection_tokens(headers: RawHeaders) -> frozenset[bytes]:
    """Return the header names that `Connection` declares to be for this hop only."""
    values = [value for name, value in headers if name == b"connection"]
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def request_headers(headers: RawHeaders, *, plain_text: bool) -> BackendHeaders:
    """Return the headers for the backend.

    Args:
        headers: As the client sent them, names in lower case.
        plain_text: Ask for an uncompressed answer, so that it can be recorded as text.
    """
    kept: BackendHeaders = []
    tokens: frozenset[bytes] = frozenset()
    for header in headers:
        name = header[0]
        if name in _NOT_SENT or name.startswith(_OURS):
            if name == b"connection":
                tokens = _connection_tokens(headers)
            continue
        if not plain_text or name != b"accept-encoding":
            kept.append(header)
        elif _IDENTITY not in kept:
            kept.append(_IDENTITY)
    return [header for header in kept if header[0] not in tokens] if tokens else kept


def replaced(headers: BackendHeaders, name: bytes, value: bytes) -> BackendHeaders:
    """Return headers with one of a name in the place of the first that had it, or behind the others if none did.

    >>> replaced([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], b"a", b"4")
    [(b'a', b'4'), (b'b', b'2')]
    """
    place = next((index for index, header in enumerate(headers) if header[0] == name), len(headers))
    kept = [header for header in headers if header[0] != name]
    kept.insert(place, (name, value))
    return kept


def response_headers(headers: Sequence[tuple[bytes, bytes]], exchange_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers for the client: the backend's without those of its hop, and the exchange's id.

    Args:
        headers: Of the backend, names in lower case.
        exchange_id: Of the exchange.
    """
    kept = [header for header in headers if header[0] not in HOP_BY_HOP and not header[0].startswith(_OURS)]
    if len(kept) < len(headers) and (tokens := _connection_tokens(headers)):
        kept = [header for header in kept if header[0] not in tokens]
    kept.append((EXCHANGE_HEADER, exchange_id.encode()))
    return kept


def content_length(headers: RawHeaders) -> int | None:
    """Return the announced length of a body, or None."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
