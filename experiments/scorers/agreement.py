"""Whether the treatment gave the answer that control gave: needs no reference at all."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import against_control


class Agreement:
    """Control scores 1 by definition; the treatment scores 1 if its answer is the same (white space aside).

    Where control itself failed there is nothing to agree with: the pair does not count. Every disagreement counts as a
    loss, so the margin must leave room for the disagreement that control has with itself (run an A/A test to see it).
    """

    version = "agreement/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two answers."""
        return against_control(control, treatment, _same)


def _same(control: str, treatment: str) -> float:
    return float(treatment.split() == control.split())
