"""Scripted answers of Ollama's API; they are streams of JSON lines unless the request says otherwise."""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from router.fakes import wire
from router.fakes.behaviour import Behaviour

_ENVELOPE = {"model": "fake", "created_at": "2026-01-01T00:00:00Z"}


def speaks(path: str) -> bool:
    """Whether a path is of this API."""
    return path.startswith("/api/")


def error(message: str) -> dict[str, Any]:
    """Return an error's body."""
    return {"error": message}


async def serve(how: Behaviour, path: str, request: Any, send: Send) -> None:
    """Answer a request."""
    if path == "/api/tags":
        await wire.json(send, 200, {"models": [{"name": "fake", "model": "fake"}]})
    elif not isinstance(request, dict):
        await wire.json(send, 400, error("invalid request"))
    elif path == "/api/embed":
        asked = request.get("input")
        texts = asked if isinstance(asked, list) else [asked]
        counted = sum(len(str(text).split()) for text in texts)
        vectors = [[0.25, -0.5] for _ in texts]
        await wire.json(send, 200, {"model": "fake", "embeddings": vectors, "prompt_eval_count": counted})
    elif path in {"/api/chat", "/api/generate"}:
        await _complete(how, request, chat=path == "/api/chat", send=send)
    else:
        await wire.json(send, 404, error(f"no such path: {path}"))


async def _complete(how: Behaviour, request: dict[str, Any], *, chat: bool, send: Send) -> None:
    prompt = str(request["messages"][-1].get("content")) if chat else str(request.get("prompt"))
    calls = _calls(how, request) if chat else []
    text = "" if calls else how.answer(prompt)
    counted = {"prompt_eval_count": len(prompt.split()), "eval_count": len(text.split())}
    last = {"done": True, "done_reason": "stop", "total_duration": 1_000, "eval_duration": 500, **counted}
    if request.get("stream", True):
        await wire.start(send, 200, b"application/x-ndjson")
        async for piece in how.pieces(text):
            await wire.line(send, _said(piece, [], chat=chat) | {"done": False})
        await wire.line(send, _said("", calls, chat=chat) | last)
        await wire.end(send)
    else:
        await wire.json(send, 200, _said(text, calls, chat=chat) | last)


def _said(text: str, calls: list[dict[str, Any]], *, chat: bool) -> dict[str, Any]:
    if not chat:
        return _ENVELOPE | {"response": text}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return _ENVELOPE | {"message": message | ({"tool_calls": calls} if calls else {})}


def _calls(how: Behaviour, request: dict[str, Any]) -> list[dict[str, Any]]:
    offered = request.get("tools")
    if not offered:
        return []
    return [{"function": {"name": offered[0]["function"]["name"], "arguments": {}}} for _ in range(how.tool_calls)]
