"""What a server says of its own time in an answer: how long it computed, and how long the request waited for it. Pure.

Who says it, and where:

    llama.cpp   `timings`: prompt_ms, predicted_ms; of a stream, in the last event before the end
    Ollama      load_duration, prompt_eval_duration, eval_duration, total_duration [ns]; of a stream, in the last line
    Groq        `usage` (of a stream `x_groq.usage`): queue_time, prompt_time, completion_time [s]
    Cerebras    `time_info`: the same three [s]
    Triton      an output tensor `compute_ms` (and `queue_ms`), if the model returns one: Triton itself says nothing

vLLM, TGI and OpenAI say nothing in their answers; the first two, and Triton, have sums in their /metrics.

A server that computes several requests at a time counts for each the whole time in which it was computed, the others'
share included. What is left of the latency that a client saw is "queueing and network": the wait in the server's
queue, loading a model, and all between. It is never split further unless the server names its queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from experiments.protocols.base import decode_json
from experiments.protocols.fields import mapping, mappings
from experiments.protocols.streams import split_lines
from experiments.protocols.tensors import read_head

COMPUTE_MS, WAITING_MS, QUEUE_MS = "compute_ms", "waiting_ms", "queue_ms"
"""Measures of a variant: what its server computed; the rest of the latency, queueing and network; and what of the rest
was the wait in the server's own queue, by its own word."""
LEAST_MS = 0.01
"""A wait is no shorter: two clocks measured it, and one of them may round."""
_NS_PER_MS = 1e6
_MS_PER_S = 1e3
_MARKS = ('"timings"', '"time_info"', '"queue_time"', '"prompt_time"', '"eval_duration"', '"compute_ms"')
"""A text without any of them is not decoded."""


class ServerTimings(NamedTuple):
    """Of one answer, by the server's clock."""

    compute_ms: float
    queue_ms: float | None = None
    """Before it was computed; None if the server does not say."""

    def waiting_ms(self, latency_ms: float) -> float:
        """Return queueing and network: the client's latency less the server's compute.

        >>> ServerTimings(80.0).waiting_ms(100.0), ServerTimings(80.0).waiting_ms(79.9)
        (20.0, 0.01)
        """
        return max(LEAST_MS, latency_ms - self.compute_ms)


def server_timings(protocol: str, response_text: str) -> ServerTimings | None:
    """Return what an answer says of the server's time; None if it says nothing, whatever the text is.

    Args:
        protocol: `openai`, `ollama`, `triton` or `raw`.
        response_text: The body, plain or as a stream.

    >>> server_timings("openai", '{"choices": [], "timings": {"prompt_ms": 12.5, "predicted_ms": 30.0}}')
    ServerTimings(compute_ms=42.5, queue_ms=None)
    """
    read = _READERS.get(protocol)
    if read is None or not any(mark in response_text for mark in _MARKS):
        return None
    return next((found for body in _bodies(protocol, response_text) if (found := read(body)) is not None), None)


def _bodies(protocol: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield the object of a plain body, or a stream's from its end: what a server sums up comes last."""
    whole = read_head(text)[0] if protocol == "triton" else mapping(decode_json(text))
    if whole:
        yield whole
        return
    for line in reversed(split_lines(text)):
        if any(mark in line for mark in _MARKS):
            yield mapping(decode_json(line.removeprefix("data:")))


def _openai(body: Mapping[str, Any]) -> ServerTimings | None:
    found = mapping(body.get("timings"))
    if found:
        return _sum(found, ("prompt_ms", "predicted_ms"), "queue_ms", 1.0)
    usage = mapping(body.get("usage")), mapping(mapping(body.get("x_groq")).get("usage"))
    for said in (mapping(body.get("time_info")), *usage):
        if timings := _sum(said, ("prompt_time", "completion_time"), "queue_time", _MS_PER_S):
            return timings
    return None


def _ollama(body: Mapping[str, Any]) -> ServerTimings | None:
    computed = _sum(body, ("prompt_eval_duration", "eval_duration"), "", 1 / _NS_PER_MS)
    total = _number(body.get("total_duration"))
    if computed is None or total is None:
        return computed
    return computed._replace(queue_ms=max(0.0, total / _NS_PER_MS - computed.compute_ms))


def _triton(body: Mapping[str, Any]) -> ServerTimings | None:
    said = {}
    for tensor in mappings(body.get("outputs")):
        data = tensor.get("data")
        if isinstance(data, list) and len(data) == 1:  # of several answers in one, no time is that of all
            said[tensor.get("name")] = data[0]
    return _sum(said, ("compute_ms",), "queue_ms", 1.0)


def _sum(said: Mapping[Any, Any], parts: tuple[str, ...], queue: str, to_ms: float) -> ServerTimings | None:
    """Add the parts that are there; None if none is. A cached prompt has no time of its own."""
    found = [value for part in parts if (value := _number(said.get(part))) is not None]
    waited = _number(said.get(queue)) if queue else None
    return ServerTimings(sum(found) * to_ms, None if waited is None else waited * to_ms) if found else None


def _number(value: Any) -> float | None:
    """Return a duration that can be one: a finite number, not negative."""
    fits = type(value) in {int, float} and 0 <= value < 1e15
    return float(value) if fits else None


_READERS = {"openai": _openai, "ollama": _ollama, "triton": _triton}
