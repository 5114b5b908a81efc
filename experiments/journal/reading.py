"""What an exchange's captured bodies say, read off the traffic's path."""

from __future__ import annotations

from experiments.model import Exchange
from experiments.protocols import Answered, protocol
from experiments.server_timings import server_timings
from experiments.stored import LoadedExchange


def read_texts(exchange: Exchange) -> LoadedExchange:
    """Read prompt, answer, model, tokens and calls of tools from an exchange's captured bodies."""
    read = protocol(exchange.protocol)
    answered = read.answer(exchange.response_text)
    # A repeated answer repeats what the server said when it computed it.
    timings = None if exchange.cached else server_timings(exchange.protocol, exchange.response_text)
    asked = read.peek(exchange.request_text.encode("utf-8", "replace")) if answered.model is None else None
    return LoadedExchange(
        exchange=exchange,
        prompt=read.prompt(exchange.request_text),
        answer=answered.text,
        finish_reason=answered.finish_reason,
        input_tokens=answered.input_tokens,
        output_tokens=answered.output_tokens,
        tokens_estimated=answered.tokens_estimated,
        model=answered.model or (asked.model if asked else None) or "",
        tool_calls=answered.tool_calls,
        empty=_is_empty(exchange, answered),
        inter_token_ms=_inter_token_ms(exchange, answered),
        server_compute_ms=timings.compute_ms if timings else None,
        server_queue_ms=timings.queue_ms if timings else None,
    )


_NOTHING = frozenset({"", "nan", "null", "none", "undefined"})
"""What servers with broken weights answer, apart from nothing at all."""


def _is_empty(exchange: Exchange, answered: Answered) -> bool:
    """Whether a good answer has nothing in it; an answer that cannot be read is not known to be empty."""
    if answered.text is None or answered.tool_calls or exchange.error or not 200 <= exchange.status < 300:
        return False
    return says_nothing(answered.text)


def says_nothing(text: str) -> bool:
    """Whether there is nothing in a text that was answered.

    >>> says_nothing(" NaN"), says_nothing("0")
    (True, False)
    """
    return text.strip().lower() in _NOTHING


def _inter_token_ms(exchange: Exchange, answered: Answered) -> float | None:
    """Return the mean time between two tokens; None where the stream's end or its number of tokens is not known."""
    if not exchange.stream or exchange.cached or exchange.error:
        return None
    if exchange.ttft_ms is None or exchange.latency_ms is None or (answered.output_tokens or 0) < 2:
        return None
    if exchange.truncated and answered.tokens_estimated:
        return None  # the chunks behind the limit were not counted
    return (exchange.latency_ms - exchange.ttft_ms) / ((answered.output_tokens or 0) - 1)
