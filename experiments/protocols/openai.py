"""OpenAI-compatible bodies: chat completions, completions and embeddings, plain and as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from experiments.protocols.base import Answered, Peek, decode_json


class _Head(msgspec.Struct):
    model: str | None = None


_head = msgspec.json.Decoder(_Head).decode


class OpenAI:
    """The protocol of vLLM, llama.cpp and OpenAI itself."""

    def peek(self, body: bytes) -> Peek:
        """Read the model's name; the rest of the body is skipped over, not built."""
        try:
            return Peek(_head(body).model)
        except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError):
            return Peek()

    def prompt(self, request_text: str) -> str | None:
        """Return the last user message of a chat, the prompt of a completion, or the input of an embedding."""
        request = decode_json(request_text)
        if not isinstance(request, dict):
            return None
        messages = request.get("messages")
        if isinstance(messages, list):
            users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
            return _content(users[-1].get("content")) if users else None
        return _content(request.get("prompt", request.get("input")))

    def answer(self, response_text: str) -> Answered:
        """Return the first choice's text; of a stream, its pieces joined."""
        if response_text.lstrip()[:1] == "{":
            return _plain(decode_json(response_text))
        return _joined(_events(response_text))

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:  # noqa: ARG002
        """The shape that the OpenAI SDKs turn into an exception with this message."""
        error = {"message": message, "type": kind, "param": None, "code": code}
        return msgspec.json.encode({"error": error}), b"application/json"


def _content(content: Any) -> str | None:
    """Return a content that is a text or a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, (str, dict))]
    return "\n".join(text for text in texts if isinstance(text, str)) or None


def _plain(response: Any) -> Answered:
    if not isinstance(response, dict):
        return Answered()
    choice = _first_choice(response)
    message = choice.get("message")
    text = _content(message.get("content")) if isinstance(message, dict) else choice.get("text")
    return Answered(text if isinstance(text, str) else None, _text(choice.get("finish_reason")), *_usage(response))


def _events(body: str) -> Iterator[dict[str, Any]]:
    for line in body.splitlines():
        if line.startswith("data:"):
            event = decode_json(line[5:].strip())
            if isinstance(event, dict):
                yield event


def _joined(events: Iterator[dict[str, Any]]) -> Answered:
    pieces: list[str] = []
    finish: str | None = None
    usage: tuple[int | None, int | None] = (None, None)
    for event in events:
        choice = _first_choice(event)
        delta = choice.get("delta")
        piece = delta.get("content") if isinstance(delta, dict) else choice.get("text")
        if isinstance(piece, str) and piece:
            pieces.append(piece)
        finish = _text(choice.get("finish_reason")) or finish
        usage = _usage(event) if event.get("usage") else usage
    if usage[1] is None and pieces:
        return Answered("".join(pieces), finish, None, len(pieces), tokens_estimated=True)
    return Answered("".join(pieces) if pieces else None, finish, *usage)


def _first_choice(response: dict[str, Any]) -> dict[str, Any]:
    choices = response.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _usage(response: dict[str, Any]) -> tuple[int | None, int | None]:
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
