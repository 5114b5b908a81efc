"""ROUGE-L: the longest run of words, gaps allowed, that the treatment shares with control."""

from __future__ import annotations

from rapidfuzz.distance import LCSseq

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import against_control
from experiments.scorers.texts import words


class RougeL:
    """The F1 of ROUGE-L of the treatment against control, which scores 1 by definition.

    Words are `experiments.scorers.texts.words`, not rouge-score's own: those keep a-z and 0-9 only, and find nothing
    in common between two identical Hindi texts. Words are not stemmed.
    """

    version = "rouge_l/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two answers; None where control's has no words."""
        return against_control(control, treatment, lambda said, like: rouge_l(like, said))


def rouge_l(text: str, reference: str) -> float | None:
    """Return the F1 of the longest common subsequence of words, in 0..1; None if the reference has no words.

    >>> rouge_l("the order comes tomorrow", "your order comes tomorrow"), rouge_l("हाँ, कल", "हाँ, कल")
    (0.75, 1.0)
    """
    said, wanted = words(text), words(reference)
    if not wanted:
        return None
    return 2 * LCSseq.similarity(said, wanted) / (len(said) + len(wanted))
