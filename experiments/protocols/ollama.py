"""Bodies of Ollama's own API (`/api/chat`, `/api/generate`, `/api/embed`); its answers are streams of JSON lines."""

from __future__ import annotations

from typing import Any

import msgspec

from experiments.protocols.base import UNREADABLE, Answered, Peek, Traits, decode_json
from experiments.protocols.fields import content, is_zero, last_user_content, mapping, mappings, peek_model, text
from experiments.protocols.pieces import ERROR, Pieces
from experiments.protocols.streams import line_objects


class _Request(msgspec.Struct):
    options: Any = None
    tools: Any = None


_request = msgspec.json.Decoder(_Request).decode


class Ollama:
    """The protocol of Ollama. Its OpenAI-compatible paths under `/v1/` are of the protocol `openai`."""

    def peek(self, body: bytes) -> Peek:
        """Read the model's name."""
        return peek_model(body)

    def traits(self, body: bytes) -> Traits:
        """Say whether the request may be repeated; Ollama keeps nothing between two requests."""
        try:
            request = _request(body)
        except UNREADABLE:
            return Traits()
        return Traits(
            deterministic=is_zero(mapping(request.options).get("temperature")),
            tools=bool(request.tools),
            stateful=False,
        )

    def prompt(self, request_text: str) -> str | None:
        """Return the last user message of a chat, the prompt of a completion, or the input of an embedding."""
        request = mapping(decode_json(request_text))
        messages = request.get("messages")
        if isinstance(messages, list):
            return last_user_content(messages)
        return content(request.get("prompt", request.get("input")))

    def answer(self, response_text: str) -> Answered:
        """Return the answer's text; of a stream, its pieces joined."""
        whole = decode_json(response_text)
        pieces = Pieces()
        for event in [whole] if isinstance(whole, dict) else line_objects(response_text):
            _add(pieces, event)
        if isinstance(whole, dict):
            pieces.chunks = 0  # one body is not one token
        return pieces.answered()

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:  # noqa: ARG002
        """The shape that Ollama's clients turn into an exception with this message."""
        return msgspec.json.encode({"error": message}), b"application/json"


def _add(pieces: Pieces, event: dict[str, Any]) -> None:
    message = event.get("message")
    said = message if isinstance(message, dict) else {"content": event.get("response")}
    piece, calls = text(said.get("content")), mappings(said.get("tool_calls"))
    thought = said.get("thinking") or event.get("thinking")
    pieces.add(piece)
    pieces.chunks += bool(piece or calls or thought)
    if isinstance(message, dict):
        pieces.call(len(calls))
    pieces.model = text(event.get("model")) or pieces.model
    pieces.finish_reason = text(event.get("done_reason")) or pieces.finish_reason
    pieces.report(event.get("prompt_eval_count"), event.get("eval_count"))
    if event.get("error"):
        pieces.finish_reason = ERROR
