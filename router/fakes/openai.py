"""Scripted answers of OpenAI's API: chats, completions, embeddings, models; responses are in a module of their own."""

from __future__ import annotations

from typing import Any

from starlette.types import Send

from router.fakes import responses, wire
from router.fakes.behaviour import Behaviour


def error(message: str) -> dict[str, Any]:
    """Return an error's body."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": None}}


async def serve(how: Behaviour, path: str, request: Any, send: Send) -> bool:
    """Answer a request; False for one that is none of this API."""
    if path.endswith("/models"):
        model = {"id": "fake", "object": "model", "owned_by": "touchstone"}
        await wire.json(send, 200, {"object": "list", "data": [model]})
    elif path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        await wire.json(send, 200, {"object": "list", "model": "fake", "data": [vector], "usage": usage})
    elif isinstance(request, dict) and path.endswith("/completions"):
        await _complete(how, request, chat=path.endswith("/chat/completions"), send=send)
    elif isinstance(request, dict) and path.endswith("/responses"):
        await responses.serve(how, request, send)
    else:
        return False
    return True


async def _complete(how: Behaviour, request: dict[str, Any], *, chat: bool, send: Send) -> None:
    prompt = str(request["messages"][-1].get("content")) if chat else str(request.get("prompt"))
    text, calls = how.answer(prompt), _calls(how, request) if chat else []
    usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
    usage["total_tokens"] = sum(usage.values())
    reason = "tool_calls" if calls else "stop"
    if request.get("stream"):
        await _stream(how, "" if calls else text, calls, usage, chat=chat, send=send)
        return
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "logprobs": None}
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else text, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    choice |= {"message": message} if chat else {"text": text}
    await wire.json(send, 200, _envelope(chat=chat, stream=False) | {"choices": [choice], "usage": usage})


async def _stream(
    how: Behaviour, text: str, calls: list[dict[str, Any]], usage: dict[str, int], *, chat: bool, send: Send
) -> None:
    await wire.start(send, 200, b"text/event-stream")
    envelope = _envelope(chat=chat, stream=True)
    async for piece in how.pieces(text):
        choice: dict[str, Any] = {"index": 0, "finish_reason": None}
        choice |= {"delta": {"role": "assistant", "content": piece}} if chat else {"text": piece}
        await wire.event(send, envelope | {"choices": [choice]})
    for number, call in enumerate(calls):
        delta = {"tool_calls": [{"index": number, **call}]}
        await wire.event(send, envelope | {"choices": [{"index": 0, "finish_reason": None, "delta": delta}]})
    last: dict[str, Any] = {"index": 0, "finish_reason": "tool_calls" if calls else "stop"}
    last["delta" if chat else "text"] = {} if chat else ""
    await wire.event(send, envelope | {"choices": [last], "usage": usage})
    await wire.end(send, b"data: [DONE]\n\n")


def _calls(how: Behaviour, request: dict[str, Any]) -> list[dict[str, Any]]:
    offered = request.get("tools")
    if not offered:
        return []
    function = {"name": offered[0]["function"]["name"], "arguments": "{}"}
    return [{"id": f"call-{number}", "type": "function", "function": function} for number in range(how.tool_calls)]


def _envelope(*, chat: bool, stream: bool) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"
    return {"id": "fake-1", "object": kind, "created": 1, "model": "fake"}
