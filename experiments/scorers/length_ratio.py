"""How long the treatment's answer is, held against control's: a model that rambles or clips shows here first."""

from __future__ import annotations

import unicodedata

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import against_control


class LengthRatio:
    """The shorter answer's length divided by the longer one's: 1 for equal lengths, 0.5 for half or double.

    Control scores 1 by definition. Lengths are in characters (Unicode's NFC), each run of white space is one.
    """

    version = "length_ratio/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two lengths; two empty answers are equally long."""
        return against_control(control, treatment, _ratio)


def _ratio(control: str, treatment: str) -> float:
    shorter, longer = sorted((_length(control), _length(treatment)))
    return shorter / longer if longer else 1.0


def _length(text: str) -> int:
    return len(" ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split()))
