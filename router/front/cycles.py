"""Answering where uvicorn's own way is not enough: a client of HTTP/1.0, and a question about the server itself."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_UNKNOWN_BYTES = 2**62


class Http10Cycle(RequestResponseCycle):
    """An answer to a client that knows no chunks: without a length, it ends with its connection."""

    async def send(self, message: Any) -> None:
        """Send a piece of the answer."""
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                self.chunked_encoding = False
                self.expected_content_length = _UNKNOWN_BYTES
        elif self.expected_content_length > _UNKNOWN_BYTES // 2 and not message.get("more_body"):
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

    async def run_asgi(self, app: Any) -> None:
        """Run the application; an answer that it does not end is cut, as a plain end would look like a whole one."""
        await super().run_asgi(app)
        if self.response_started and not self.response_complete:
            self.transport.abort()


async def answer_options(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer `OPTIONS *`: it asks about this server, not about a backend."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
