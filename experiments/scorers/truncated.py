"""Whether an answer was cut off at a limit of tokens."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import each

_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
"""Finish reasons of a cut answer: of chat and text completions, of the responses API, of servers that copy them."""


class Truncated:
    """1 for an answer that came to its own end, 0 for one that was cut off. Higher is better, as everywhere."""

    version = "truncated/1"
    needs_text = False

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Score each answer by itself; None where one does not say why it ended."""
        return each(control, treatment, _whole)


def _whole(answer: Answer) -> float | None:
    return None if answer.finish_reason is None else float(answer.finish_reason.lower() not in _CUT)
