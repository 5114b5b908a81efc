"""Bodies of Triton's KServe v2 API (`infer`) and of its extension for text (`generate`, `generate_stream`)."""

from __future__ import annotations

from typing import Any

import msgspec

from experiments.protocols.base import Answered, Peek, Traits
from experiments.protocols.fields import content, count, is_one_or_absent, is_zero, mapping, mappings, text
from experiments.protocols.pieces import ERROR, Pieces
from experiments.protocols.streams import event_objects
from experiments.protocols.tensors import read_head, tensors_text

_UNFINISHED = "None"
"""What vLLM's backend sends as finish reason of a piece that is not the last."""


class Triton:
    """The protocol of NVIDIA Triton and other KServe v2 servers.

    A tensor in binary form that is no text is not read: the prompt or the answer is then None.
    """

    def peek(self, body: bytes) -> Peek:  # noqa: ARG002
        """Nothing: the model is in the path."""
        return Peek()

    def traits(self, body: bytes) -> Traits:
        """Say whether the request may be repeated; a sequence is state that the backend keeps."""
        request, _ = read_head(body.decode("latin-1"))
        # `generate` takes a model's parameters beside its inputs as well.
        asked = mapping(request.get("parameters")) | request
        return Traits(
            deterministic=is_zero(asked.get("temperature")) and is_one_or_absent(asked.get("n")),
            tools=bool(asked.get("tools") or asked.get("functions")),
            stateful=bool(asked.get("sequence_id")),
        )

    def prompt(self, request_text: str) -> str | None:
        """Return `text_input`, else the inputs that are texts, else the numbers as JSON."""
        request, binary = read_head(request_text)
        if "text_input" in request:
            return content(request["text_input"])
        return tensors_text(mappings(request.get("inputs")), binary, "text_input")

    def answer(self, response_text: str) -> Answered:
        """Return `text_output`, else the outputs that are texts, else the numbers as JSON."""
        if response_text.lstrip()[:1] != "{":
            return _streamed(response_text)
        response, binary = read_head(response_text)
        if "outputs" in response:
            answer = tensors_text(mappings(response["outputs"]), binary, "text_output")
            return Answered(text=answer, model=text(response.get("model_name")))
        pieces = Pieces()
        _add(pieces, response)
        pieces.chunks = 0  # one body is not one token
        return pieces.answered()

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:  # noqa: ARG002
        """The shape that Triton's clients turn into an exception with this message."""
        return msgspec.json.encode({"error": message}), b"application/json"


def _streamed(response_text: str) -> Answered:
    pieces = Pieces()
    for event in event_objects(response_text):
        _add(pieces, event)
    return pieces.answered()


def _add(pieces: Pieces, event: dict[str, Any]) -> None:
    piece = content(event.get("text_output"))
    pieces.add(piece)
    pieces.chunks += bool(piece)
    pieces.model = text(event.get("model_name")) or pieces.model
    finish = text(event.get("finish_reason"))
    pieces.finish_reason = pieces.finish_reason if finish == _UNFINISHED else finish or pieces.finish_reason
    # Each piece of vLLM's backend reports its own tokens, not those so far.
    written = count(event.get("num_output_tokens"))
    so_far = pieces.output_tokens or 0
    pieces.report(event.get("num_input_tokens"), None if written is None else so_far + written)
    if event.get("error"):
        pieces.finish_reason = ERROR
