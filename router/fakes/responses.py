"""Scripted answers of OpenAI's responses API, plain and as the events that its SDK expects."""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from router.fakes import wire
from router.fakes.behaviour import Behaviour

_ID = "fake-message-1"


async def serve(how: Behaviour, request: dict[str, Any], send: Send) -> None:
    """Answer a request."""
    asked = request.get("input")
    prompt = str(asked[-1].get("content") if isinstance(asked, list) and asked else asked)
    text = how.answer(prompt)
    usage = {
        "input_tokens": len(prompt.split()),
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(text.split()),
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    usage["total_tokens"] = len(prompt.split()) + len(text.split())
    done = _response("completed", [_message("completed", [_part(text)])]) | {"usage": usage}
    if request.get("stream"):
        await _stream(how, text, done, send)
    else:
        await wire.json(send, 200, done)


async def _stream(how: Behaviour, text: str, done: dict[str, Any], send: Send) -> None:
    await wire.start(send, 200, b"text/event-stream")
    number = 0

    async def tell(kind: str, **more: Any) -> None:
        nonlocal number
        await wire.event(send, {"type": kind, "sequence_number": number, **more}, kind)
        number += 1

    place: dict[str, Any] = {"output_index": 0, "item_id": _ID, "content_index": 0}
    await tell("response.created", response=_response("in_progress", []))
    await tell("response.output_item.added", output_index=0, item=_message("in_progress", []))
    await tell("response.content_part.added", part=_part(""), **place)
    async for piece in how.pieces(text):
        await tell("response.output_text.delta", delta=piece, logprobs=[], **place)
    await tell("response.output_text.done", text=text, logprobs=[], **place)
    await tell("response.content_part.done", part=_part(text), **place)
    await tell("response.output_item.done", output_index=0, item=_message("completed", [_part(text)]))
    await tell("response.completed", response=done)
    await wire.end(send)


def _response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    fixed = {"id": "fake-response-1", "object": "response", "created_at": 1, "model": "fake", "error": None}
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return fixed | settings | {"status": status, "incomplete_details": None, "output": output}


def _message(status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": _ID, "type": "message", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}
