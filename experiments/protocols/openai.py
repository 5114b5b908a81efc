"""OpenAI-compatible bodies: chats, completions, embeddings and responses, plain and as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import msgspec

from experiments.protocols import responses
from experiments.protocols.base import UNREADABLE, Answered, Peek, Traits, decode_json
from experiments.protocols.fields import (
    content,
    is_one_or_absent,
    is_zero,
    last_user_content,
    mapping,
    mappings,
    peek_model,
    text,
)
from experiments.protocols.pieces import ERROR, Pieces
from experiments.protocols.streams import event_objects


class _Request(msgspec.Struct):
    temperature: Any = None
    n: Any = None
    tools: Any = None
    functions: Any = None
    previous_response_id: Any = None
    conversation: Any = None
    background: Any = None
    store: Any = None


_request = msgspec.json.Decoder(_Request).decode
_NONE: frozenset[int] = frozenset()
_ONE = frozenset({0})


class OpenAI:
    """The protocol of vLLM, llama.cpp and OpenAI itself."""

    def peek(self, body: bytes) -> Peek:
        """Read the model's name."""
        return peek_model(body)

    def traits(self, body: bytes) -> Traits:
        """Say whether the request may be repeated.

        A response that is stored only because that is the default of its API is not seen as stateful: the body does
        not tell it from an embedding. Exclude such paths by hand.
        """
        try:
            request = _request(body)
        except UNREADABLE:
            return Traits()
        stored = request.store is True or request.background is True
        return Traits(
            deterministic=is_zero(request.temperature) and is_one_or_absent(request.n),
            tools=bool(request.tools or request.functions),
            stateful=stored or request.previous_response_id is not None or request.conversation is not None,
        )

    def prompt(self, request_text: str) -> str | None:
        """Return the last user message of a chat, the prompt of a completion, or the input of anything else."""
        request = decode_json(request_text)
        if not isinstance(request, dict):
            return None
        messages = request.get("messages")
        if isinstance(messages, list):
            return last_user_content(messages)
        asked = request.get("prompt", request.get("input"))
        said = last_user_content(asked) if isinstance(asked, list) else None
        return content(asked) if said is None else said

    def answer(self, response_text: str) -> Answered:
        """Return the first choice's text; of a stream, its pieces joined."""
        if response_text.lstrip()[:1] == "{":
            response = mapping(decode_json(response_text))
            return responses.read(response) if responses.is_response(response) else _plain(response)
        events = event_objects(response_text)
        first = next(events, {})
        read = responses.read_events if responses.is_event(first) else _streamed
        return read(chain((first,), events))

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:  # noqa: ARG002
        """The shape that the OpenAI SDKs turn into an exception with this message."""
        error = {"message": message, "type": kind, "param": None, "code": code}
        return msgspec.json.encode({"error": error}), b"application/json"


def _plain(response: dict[str, Any]) -> Answered:
    pieces = Pieces(model=text(response.get("model")))
    _report(pieces, response)
    for choice in mappings(response.get("choices"))[:1]:
        message = choice.get("message")
        pieces.finish_reason = text(choice.get("finish_reason"))
        if isinstance(message, dict):
            _read_message(pieces, message)
        else:
            pieces.texts += _present(choice.get("text"))
    return pieces.answered()


def _read_message(pieces: Pieces, message: dict[str, Any]) -> None:
    # An empty content is an answer, too, except beside a refusal.
    pieces.add(None, refusal=message.get("refusal"))
    pieces.texts += _present(content(message.get("content"))) if not pieces.refusals else []
    pieces.call(len(mappings(message.get("tool_calls"))) or int(isinstance(message.get("function_call"), dict)))


def _present(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else []


def _streamed(events: Iterator[dict[str, Any]]) -> Answered:
    pieces = Pieces()
    called: set[int] = set()
    for event in events:
        pieces.model = text(event.get("model")) or pieces.model
        _report(pieces, event)
        for choice in mappings(event.get("choices")):
            _add_choice(pieces, choice, called)
        if event.get("error"):
            pieces.finish_reason = ERROR
    if called:
        pieces.call(len(called))
    return pieces.answered()


def _add_choice(pieces: Pieces, choice: dict[str, Any], called: set[int]) -> None:
    """Add a chunk; of several answers to one request the first is read, and the tokens of all are counted."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = {"content": choice.get("text")}
    elif pieces.tool_calls is None:
        pieces.tool_calls = 0
    piece, refusal, calls = content(delta.get("content")), delta.get("refusal"), _called(delta)
    thought = delta.get("reasoning_content") or delta.get("reasoning")
    pieces.chunks += bool(piece or refusal or calls or thought)
    if choice.get("index", 0) == 0:
        pieces.add(piece, refusal=refusal)
        called |= calls
        pieces.finish_reason = text(choice.get("finish_reason")) or pieces.finish_reason


def _called(delta: dict[str, Any]) -> frozenset[int]:
    """Return the numbers of the calls that a chunk adds to: the arguments of one call come in many chunks."""
    if "tool_calls" not in delta and "function_call" not in delta:
        return _NONE
    calls = [call.get("index", 0) for call in mappings(delta.get("tool_calls"))]
    numbers = frozenset(number for number in calls if isinstance(number, int))
    return numbers or (_ONE if isinstance(delta.get("function_call"), dict) else _NONE)


def _report(pieces: Pieces, response: dict[str, Any]) -> None:
    usage = response.get("usage")
    if isinstance(usage, dict):
        pieces.report(usage.get("prompt_tokens"), usage.get("completion_tokens"))
