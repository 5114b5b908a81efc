"""The two sides of a pair: who is control, who failed, and whether there is anything to compare. Pure."""

from __future__ import annotations

from typing import NamedTuple

from experiments.model import BACKEND_FAULTS, MISSING_SHADOW, TREATMENT, ErrorKind
from experiments.scorers.base import Answer
from experiments.stored import StoredExchange


class Sides(NamedTuple):
    """A pair, by variant."""

    control: StoredExchange
    treatment: StoredExchange


def comparable(live: StoredExchange, shadow: StoredExchange) -> bool:
    """Whether a pair has two sides that came to an end of their own."""
    ends = {live.exchange.error, live.exchange.fallback, shadow.exchange.error}
    return not ends & (MISSING_SHADOW | {ErrorKind.CLIENT_CLOSED})


def by_variant(live: StoredExchange, shadow: StoredExchange) -> Sides:
    """Order a pair as (control, treatment), by what was assigned."""
    return Sides(shadow, live) if live.exchange.assigned == TREATMENT else Sides(live, shadow)


def failed(exchange: StoredExchange) -> bool:
    """Whether the assigned variant failed: an error of its backend, or the other's answer in place of one.

    An answer in place of a backend that is being drained says nothing of the backend.
    """
    return bool({exchange.exchange.fallback, exchange.exchange.error} & BACKEND_FAULTS)


def answer_of(exchange: StoredExchange) -> Answer:
    """Return the answer of the assigned variant; a fallback's answer is control's and does not count as its own."""
    if failed(exchange):
        return Answer(None, ok=False, prompt=exchange.prompt)
    # A 4xx is the caller's mistake, not the model's failure: there is no answer to judge, and no fault either.
    return Answer(
        exchange.answer,
        ok=True,
        finish_reason=exchange.finish_reason,
        tool_calls=exchange.tool_calls,
        empty=exchange.empty,
        prompt=exchange.prompt,
    )
