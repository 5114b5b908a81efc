"""An ASGI app that speaks OpenAI's, Ollama's and Triton's APIs, each on its own paths. Nothing in it is a model.

Its answers, delays and failures are scripted; any other path is answered with what was received.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from router.fakes import ollama, openai, triton, wire
from router.fakes.behaviour import Answer, Behaviour, BrokenOffError, echo, sometimes_wrong

__all__ = ["Answer", "Behaviour", "FakeBackend", "echo", "sometimes_wrong"]


@dataclass
class FakeBackend:
    """The app: keeps what it received."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    received: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    """Requests whose caller went away before the answer was complete."""
    met_cold: list[bytes] = field(default_factory=list)
    """The user agents of the requests that met a backend which was not warm yet."""
    _warm_at: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await wire.read_body(receive)
        self.counts[scope["path"]] += 1
        self.received.append({"method": scope["method"], "path": scope["path"], "query": scope["query_string"],
                              "headers": list(scope["headers"]), "body": body})  # fmt: skip
        watcher = asyncio.ensure_future(_gone(receive))
        serving = asyncio.ensure_future(self._serve(scope, body, send))
        await asyncio.wait({watcher, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            self.cancelled += 1
            serving.cancel()
        watcher.cancel()
        await asyncio.gather(serving, watcher, return_exceptions=True)

    async def _serve(self, scope: Scope, body: bytes, send: Send) -> None:
        how = self.behaviour
        if how.cold_start_ms and scope["method"] == "POST":
            await self._warm_up(how.cold_start_ms, dict(scope["headers"]).get(b"user-agent", b""))
        if how.delay_ms:
            await asyncio.sleep(how.delay_ms / 1e3)
        if how.hang:
            await asyncio.sleep(3_600)
        path, status = scope["path"], how.draw_status()
        try:
            if status != 200:
                await wire.json(send, status, _failure(path))
            elif ollama.speaks(path):
                await ollama.serve(how, path, wire.decode(body), send)
            elif triton.speaks(path):
                await triton.serve(how, scope, body, send)
            elif not await openai.serve(how, path, wire.decode(body), send):
                await wire.echo_request(scope, body, send)
        except BrokenOffError:
            return  # without a last message: the server closes the connection

    async def _warm_up(self, cold_start_ms: float, user_agent: bytes) -> None:
        """Wait until it is warm; the first request begins that."""
        now = time.monotonic()
        if self._warm_at is None:
            self._warm_at = now + cold_start_ms / 1e3
        if now < self._warm_at:
            self.met_cold.append(user_agent)
            await asyncio.sleep(self._warm_at - now)


def _failure(path: str) -> dict[str, Any]:
    if ollama.speaks(path):
        return ollama.error("scripted failure")
    return triton.error("scripted failure") if triton.speaks(path) else openai.error("scripted failure")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
