"""An OpenAI-compatible ASGI app whose answers, delays and failures are scripted. Nothing in it is a model."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

Answer = Callable[[str], str]


def echo(prompt: str) -> str:
    """Answer with the prompt itself: deterministic, so two fakes agree."""
    return f"echo: {prompt[:200]}"


def sometimes_wrong(share: float, seed: int = 0) -> Answer:
    """Answer like `echo`, but wrongly for a share of the prompts: always the same ones for a seed."""

    def answer(prompt: str) -> str:
        wrong = random.Random(f"{seed}:{prompt}").random() < share  # noqa: S311  # reproducible, keeps no secret
        return "wrong" if wrong else echo(prompt)

    return answer


@dataclass
class Behaviour:
    """What a fake backend does; may be changed while it runs."""

    answer: Answer = echo
    delay_ms: float = 0.0
    """Before the response headers."""
    chunks: int = 100
    """Pieces of a streamed answer."""
    chunk_delay_ms: float = 0.0
    status: int = 200
    """Any other status is answered with an OpenAI error."""
    hang: bool = False
    """Accept the request and never answer."""
    break_after_chunks: int | None = None
    """Close the connection after so many pieces of a stream (0: before the first)."""


@dataclass
class FakeBackend:
    """The app: keeps what it received."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    received: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    """Requests whose caller went away before the answer was complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
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
        if how.delay_ms:
            await asyncio.sleep(how.delay_ms / 1e3)
        if how.hang:
            await asyncio.sleep(3_600)
        request = _decode(body)
        if how.status != 200:
            error = {"error": {"message": "scripted failure", "type": "server_error", "param": None, "code": None}}
            await _json(send, how.status, error)
        elif scope["path"].endswith(("/chat/completions", "/completions")) and isinstance(request, dict):
            await self._complete(request, chat="chat" in scope["path"], send=send)
        elif scope["path"].endswith("/models"):
            await _json(
                send, 200, {"object": "list", "data": [{"id": "fake", "object": "model", "owned_by": "touchstone"}]}
            )
        elif scope["path"].endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
            usage = {"prompt_tokens": 2, "total_tokens": 2}
            await _json(send, 200, {"object": "list", "model": "fake", "data": [vector], "usage": usage})
        else:
            await _echo(scope, body, send)

    async def _complete(self, request: dict[str, Any], *, chat: bool, send: Send) -> None:
        prompt = str(request["messages"][-1].get("content")) if chat else str(request.get("prompt"))
        text = self.behaviour.answer(prompt)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        usage["total_tokens"] = sum(usage.values())
        if request.get("stream"):
            await self._stream(text, usage, chat=chat, send=send)
            return
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
        choice |= {"message": {"role": "assistant", "content": text, "refusal": None}} if chat else {"text": text}
        await _json(send, 200, _envelope(chat=chat, stream=False) | {"choices": [choice], "usage": usage})

    async def _stream(self, text: str, usage: dict[str, int], *, chat: bool, send: Send) -> None:
        how = self.behaviour
        await _start(send, 200, b"text/event-stream")
        for number in range(how.chunks):
            if how.break_after_chunks == number:
                return  # without a last message: the server closes the connection
            piece = text[number * len(text) // how.chunks : (number + 1) * len(text) // how.chunks]
            choice: dict[str, Any] = {"index": 0, "finish_reason": None}
            choice |= {"delta": {"role": "assistant", "content": piece}} if chat else {"text": piece}
            await _event(send, _envelope(chat=chat, stream=True) | {"choices": [choice]})
            await asyncio.sleep(how.chunk_delay_ms / 1e3)
        last: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        last["delta" if chat else "text"] = {} if chat else ""
        await _event(send, _envelope(chat=chat, stream=True) | {"choices": [last], "usage": usage})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _envelope(*, chat: bool, stream: bool) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"
    return {"id": "fake-1", "object": kind, "created": 1, "model": "fake"}


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, content_type: bytes, length: int | None = None) -> None:
    headers = [(b"content-type", content_type)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _json(send: Send, status: int, data: Any) -> None:
    body = msgspec.json.encode(data)
    await _start(send, status, b"application/json", len(body))
    await send({"type": "http.response.body", "body": body})


async def _event(send: Send, data: Any) -> None:
    await send(
        {"type": "http.response.body", "body": b"data: " + msgspec.json.encode(data) + b"\n\n", "more_body": True}
    )


async def _echo(scope: Scope, body: bytes, send: Send) -> None:
    """Answer any other request with what was received, so that a test can hold it against what was sent."""
    data = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    await _json(send, 200, data)
