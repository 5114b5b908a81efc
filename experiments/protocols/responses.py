"""Bodies of OpenAI's responses API: one object, or server-sent events of which the last carries that object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.protocols.base import Answered
from experiments.protocols.fields import mapping, mappings, text
from experiments.protocols.pieces import ERROR, Pieces

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


def is_response(body: dict[str, Any]) -> bool:
    """Whether a plain body is a response object."""
    return body.get("object") == "response" or isinstance(body.get("output"), list)


def is_event(event: dict[str, Any]) -> bool:
    """Whether an event of a stream is one of this API."""
    kind = event.get("type")
    return isinstance(kind, str) and (kind.startswith("response.") or kind == ERROR)


def read(response: dict[str, Any]) -> Answered:
    """Return what a response object answers; its finish reason is why it is incomplete, else its status."""
    usage = mapping(response.get("usage"))
    incomplete = mapping(response.get("incomplete_details"))
    pieces = Pieces(model=text(response.get("model")), tool_calls=0)
    pieces.finish_reason = text(incomplete.get("reason")) or text(response.get("status"))
    pieces.report(usage.get("input_tokens"), usage.get("output_tokens"))
    for item in mappings(response.get("output")):
        pieces.call(_is_call(item))
        for part in mappings(item.get("content")) if item.get("type") == "message" else []:
            pieces.add(part.get("text"), refusal=part.get("refusal"))
    return pieces.answered()


def read_events(events: Iterator[dict[str, Any]]) -> Answered:
    """Return what a stream answers: its last event says it all, and without one its pieces are joined."""
    pieces = Pieces(tool_calls=0)
    for event in events:
        response = mapping(event.get("response"))
        pieces.model = text(response.get("model")) or pieces.model
        if event.get("type") in _LAST:
            return _completed(read(response), pieces.answered())
        _add(pieces, event)
    return pieces.answered()


def _add(pieces: Pieces, event: dict[str, Any]) -> None:
    kind, delta = text(event.get("type")) or "", event.get("delta")
    if kind == "response.output_text.delta":
        pieces.add(delta)
    elif kind == "response.refusal.delta":
        pieces.add(None, refusal=delta)
    elif kind == "response.output_item.added":
        pieces.call(_is_call(mapping(event.get("item"))))
    elif kind == ERROR:
        pieces.finish_reason = ERROR
    # Arguments of a call and thoughts are tokens as well.
    pieces.chunks += kind.endswith(".delta") and isinstance(delta, str) and delta != ""


def _completed(last: Answered, streamed: Answered) -> Answered:
    """Fill what the last event leaves out: some servers send it without the output."""
    if last.text is None:
        last = last._replace(text=streamed.text, tool_calls=max(last.tool_calls or 0, streamed.tool_calls or 0))
    if last.output_tokens is None:
        last = last._replace(output_tokens=streamed.output_tokens, tokens_estimated=streamed.tokens_estimated)
    return last._replace(model=last.model or streamed.model)


def _is_call(item: dict[str, Any]) -> int:
    """1 for an item that calls a tool (`function_call`, `web_search_call`, ...), else 0."""
    return int((text(item.get("type")) or "").endswith("_call"))
