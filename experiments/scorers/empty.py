"""Whether an answer says anything at all."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import each


class Empty:
    """1 for an answer with a text or a call of a tool, 0 for one with neither. Higher is better, as everywhere."""

    version = "empty/1"
    needs_text = False

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Score each answer by itself."""
        return each(control, treatment, _says_something)


def _says_something(answer: Answer) -> float:
    return float(bool(answer.tool_calls) or not (answer.empty or not (answer.text or "").strip()))
