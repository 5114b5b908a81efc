"""Exact match with the golden set's reference."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore


class Exact:
    """1 if the answer equals the expected text (surrounding white space aside), else 0."""

    version = "exact/1"
    needs_reference = True

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score both answers against `expected.exact`."""
        if expected is None or expected.exact is None:
            return None
        wanted = expected.exact.strip()
        return PairScore(_match(control, wanted), _match(treatment, wanted))


def _match(answer: Answer, wanted: str) -> float:
    return float(answer.ok and answer.text is not None and answer.text.strip() == wanted)
