"""ASGI messages of the fakes: bodies in, JSON, events and lines out."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send


def decode(body: bytes) -> Any:
    """Decode JSON; None for anything else."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


async def read_body(receive: Receive) -> bytes:
    """Read a whole request body."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def start(send: Send, status: int, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Send the status and the headers."""
    named = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": status, "headers": named})


async def whole(send: Send, status: int, content_type: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Send a whole answer."""
    await start(send, status, content_type, (b"content-length", str(len(body)).encode()), *headers)
    await send({"type": "http.response.body", "body": body})


async def json(send: Send, status: int, data: Any) -> None:
    """Send a whole answer of JSON."""
    await whole(send, status, b"application/json", msgspec.json.encode(data))


async def event(send: Send, data: Any, name: str = "") -> None:
    """Send a server-sent event; its stream goes on."""
    named = f"event: {name}\n".encode() if name else b""
    await piece(send, named + b"data: " + msgspec.json.encode(data) + b"\n\n")


async def line(send: Send, data: Any) -> None:
    """Send a line of JSON; its stream goes on."""
    await piece(send, msgspec.json.encode(data) + b"\n")


async def piece(send: Send, body: bytes) -> None:
    """Send a part of a body."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def end(send: Send, body: bytes = b"") -> None:
    """Send the last part of a body."""
    await send({"type": "http.response.body", "body": body})


async def echo_request(scope: Scope, body: bytes, send: Send) -> None:
    """Answer with what was received, so that a test can hold it against what was sent."""
    data = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    await json(send, 200, data)
