"""Headers on their way through: what a proxy must drop, keep and add (RFC 9110, section 7.6.1)."""

from __future__ import annotations

from collections.abc import Iterable

from multidict import CIMultiDict

from router.errors import EXCHANGE_HEADER

RawHeaders = Iterable[tuple[bytes, bytes]]

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
_OURS = b"x-touchstone-"


def _connection_tokens(headers: RawHeaders) -> frozenset[bytes]:
    """Return the header names that `Connection` declares to be for this hop only."""
    values = [value for name, value in headers if name == b"connection"]
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


def request_headers(headers: RawHeaders, *, plain_text: bool) -> CIMultiDict[str]:
    """Return the headers for the backend.

    Args:
        headers: As the client sent them, names in lower case.
        plain_text: Ask for an uncompressed answer, so that it can be recorded as text.
    """
    dropped = HOP_BY_HOP | _REPLACED | _connection_tokens(headers)
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        if name in dropped or name.startswith(_OURS):
            continue
        kept.add(name.decode("latin-1"), value.decode("latin-1"))
    if plain_text and "accept-encoding" in kept:
        kept["accept-encoding"] = "identity"
    return kept


def response_headers(headers: RawHeaders, exchange_id: str) -> list[tuple[bytes, bytes]]:
    """Return the headers for the client: the backend's without those of its hop, and the exchange's id."""
    lowered = [(name.lower(), value) for name, value in headers]
    dropped = HOP_BY_HOP | _connection_tokens(lowered)
    kept = [(name, value) for name, value in lowered if name not in dropped and not name.startswith(_OURS)]
    kept.append((EXCHANGE_HEADER, exchange_id.encode()))
    return kept


def content_length(headers: RawHeaders) -> int | None:
    """Return the announced length of a body, or None."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
