"""What a span says of an exchange: names and attributes after OpenTelemetry's conventions. Pure.

Never a prompt, an answer or a unit.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from experiments.model import Exchange
from experiments.protocols import protocol
from router.telemetry import conventions as name

Value = str | int | float | bool | tuple[str, ...]
_MODEL_CHARACTERS = 128
"""A model's name comes from the client: a longer one is cut."""
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""Those of the conventions; another is the client's invention and would make names without end."""
_OPERATIONS = {
    "/chat/completions": name.CHAT,
    "/responses": name.CHAT,
    "/completions": name.TEXT_COMPLETION,
    "/embeddings": name.EMBEDDINGS,
    "/api/chat": name.CHAT,
    "/api/generate": name.TEXT_COMPLETION,
    "/api/embed": name.EMBEDDINGS,
    "/api/embeddings": name.EMBEDDINGS,
    "/generate": name.TEXT_COMPLETION,
    "/generate_stream": name.TEXT_COMPLETION,
}
"""By the end of the path; the longest that fits counts."""
_BY_LENGTH = sorted(_OPERATIONS.items(), key=lambda item: -len(item[0]))


class Described(NamedTuple):
    """A span's name and attributes."""

    name: str
    attributes: dict[str, Value]


def describe(exchange: Exchange) -> Described:
    """Return what a span says of an exchange that has ended."""
    attributes: dict[str, Value] = {
        name.HTTP_REQUEST_METHOD: exchange.method if exchange.method in _METHODS else name.OTHER_METHOD,
        "touchstone.exchange": exchange.id,
        "touchstone.role": exchange.role.value,
        "touchstone.cached": exchange.cached,
        "touchstone.backend": exchange.backend,
    }
    if exchange.status:
        attributes[name.HTTP_RESPONSE_STATUS_CODE] = exchange.status
    if exchange.error:
        attributes[name.ERROR_TYPE] = exchange.error
    if exchange.pair:
        attributes["touchstone.pair"] = exchange.pair
    attributes |= _assignment(exchange) | _endpoint(exchange)
    operation = operation_of(exchange.path)
    if operation is None:
        return Described(exchange.method if exchange.method in _METHODS else "HTTP", attributes)
    asked = _asked(exchange)
    attributes |= {
        name.OPERATION_NAME: operation,
        name.PROVIDER_NAME: exchange.protocol,
        **asked,
        **_answered(exchange),
    }
    return Described(f"{operation} {asked.get(name.REQUEST_MODEL, '')}".strip(), attributes)


def operation_of(path: str) -> str | None:
    """Return what a path asks for, in the words of the conventions; None if they have none.

    >>> operation_of("/v1/chat/completions")
    'chat'
    """
    return next((operation for end, operation in _BY_LENGTH if path.endswith(end)), None)


def _assignment(exchange: Exchange) -> dict[str, Value]:
    """An assignment is the evaluation of a feature flag."""
    if not exchange.experiment:
        return {}
    found: dict[str, Value] = {
        name.FEATURE_FLAG_KEY: exchange.experiment,
        name.FEATURE_FLAG_PROVIDER_NAME: "touchstone",
        name.FEATURE_FLAG_RESULT_VARIANT: exchange.assigned,
        name.FEATURE_FLAG_RESULT_REASON: name.REASON_SPLIT,
        "touchstone.variant": exchange.served,
        "touchstone.stage": exchange.stage,
    }
    if exchange.fallback:
        found["touchstone.fallback"] = exchange.fallback
    return found


def _endpoint(exchange: Exchange) -> dict[str, Value]:
    found: dict[str, Value] = {}
    parts = urlsplit(exchange.endpoint)
    if parts.hostname:
        found[name.SERVER_ADDRESS] = parts.hostname
        found[name.SERVER_PORT] = parts.port or (443 if parts.scheme == "https" else 80)
    return found


def _asked(exchange: Exchange) -> dict[str, Value]:
    found: dict[str, Value] = {name.REQUEST_STREAM: exchange.stream}
    model = protocol(exchange.protocol).peek(exchange.request_text.encode()).model
    if model:
        found[name.REQUEST_MODEL] = model[:_MODEL_CHARACTERS]
    return found


def _answered(exchange: Exchange) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if exchange.stream and exchange.ttft_ms is not None and not exchange.cached:
        found[name.RESPONSE_TIME_TO_FIRST_CHUNK] = exchange.ttft_ms / 1e3
    if exchange.truncated or not exchange.response_text:
        return found  # a text that is cut off has no usage at its end
    answered = protocol(exchange.protocol).answer(exchange.response_text)
    if answered.model:
        found[name.RESPONSE_MODEL] = answered.model[:_MODEL_CHARACTERS]
    if answered.finish_reason:
        found[name.RESPONSE_FINISH_REASONS] = (answered.finish_reason[:_MODEL_CHARACTERS],)
    if answered.input_tokens is not None:
        found[name.USAGE_INPUT_TOKENS] = answered.input_tokens
    if answered.output_tokens is not None:
        found[name.USAGE_OUTPUT_TOKENS] = answered.output_tokens
    return found
