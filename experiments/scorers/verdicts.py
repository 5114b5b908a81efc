"""What a judge said, as a verdict: from the JSON that it was asked for, or what comes near it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from experiments.scorers.asking import Failed
from experiments.scorers.judge_prompt import one_line

TIE = "tie"
_LONGEST_REPLY = 20_000
_LONGEST_REASON = 300
_THOUGHT = "</think>"
_WORDS = {"a": "A", "answer a": "A", "b": "B", "answer b": "B", "tie": TIE, "draw": TIE, "equal": TIE}
_decoder = json.JSONDecoder()


class Verdict(NamedTuple):
    """What a judge picked, and why."""

    picked: str
    """`A` (shown first), `B` or `tie`."""
    reason: str = ""
    """In the judge's words: one line, cut."""


def read_verdict(content: str | None, *, ties: bool) -> Verdict | Failed:
    """Read a judge's reply.

    A server that does not know structured output may put words or a code fence around the JSON, or say "A" alone. What
    contains two different verdicts says none: one of them may be a quotation of an answer.

    Args:
        content: The text of its reply; None if it has none.
        ties: Whether it may say "tie".

    >>> read_verdict('Sure. {"reason": "clearer", "verdict": "b"}', ties=True)
    Verdict(picked='B', reason='clearer')
    >>> read_verdict('{"verdict": "A"} or {"verdict": "B"}', ties=True)
    Failed(reason='more than one verdict')
    """
    if content is None or not content.strip():
        return Failed("no text in the reply")
    said = content.rpartition(_THOUGHT)[2].strip()[:_LONGEST_REPLY]
    found = [verdict for value in _objects(said) if (verdict := _verdict(value)) is not None]
    if not found and (alone := _WORDS.get(said.strip("\"'`*.[]() \n").casefold())):
        found = [Verdict(alone)]
    if not found:
        return Failed("no verdict in the reply")
    if len({verdict.picked for verdict in found}) > 1:
        return Failed("more than one verdict")
    if found[0].picked == TIE and not ties:
        return Failed("a tie, where none is allowed")
    return found[0]


def _verdict(value: dict[str, Any]) -> Verdict | None:
    said, reason = value.get("verdict"), value.get("reason")
    picked = _WORDS.get(said.strip().casefold()) if isinstance(said, str) else None
    return None if picked is None else Verdict(picked, one_line(str(reason or ""), _LONGEST_REASON))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text, but not those inside another one or inside its strings."""
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                yield value
        at = text.find("{", end)
