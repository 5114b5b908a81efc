"""Answers that the router gives itself on model paths, in the shape that unmodified clients parse."""

from __future__ import annotations

from starlette.types import Send

from experiments.protocols import Protocol, protocol
from router.errors import EXCHANGE_HEADER

_RETRY_AFTER_S = b"1"


async def answer(
    send: Send,
    exchange_id: str,
    status: int,
    body: bytes,
    content_type: bytes,
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a whole answer."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (EXCHANGE_HEADER, exchange_id.encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def spoken_at(path: str) -> Protocol:
    """Return the protocol that clients of a path most likely speak: of a refusal, they parse its error shape."""
    if path.startswith("/api/"):
        return protocol("ollama")
    return protocol("triton") if path.startswith("/v2/") else protocol("openai")


async def refuse(
    send: Send,
    exchange_id: str,
    path: str,
    status: int,
    message: str,
    code: str,
    extra: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Refuse a request that is no exchange: nothing was sent to any backend, so nothing is recorded."""
    kind = "server_error" if status >= 500 and status != 501 else "invalid_request_error"
    await answer(send, exchange_id, status, *spoken_at(path).error(status, message, kind, code), extra)


async def too_large(send: Send, exchange_id: str, path: str, message: str) -> None:
    """Refuse a body that is too large; the connection is closed, as its rest may still be on the way."""
    await refuse(send, exchange_id, path, 413, message, "body_too_large", ((b"connection", b"close"),))


async def overloaded(send: Send, exchange_id: str, path: str, message: str) -> None:
    """Refuse what would be too much right now."""
    await refuse(send, exchange_id, path, 503, message, "overloaded", ((b"retry-after", _RETRY_AFTER_S),))
