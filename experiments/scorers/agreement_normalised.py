"""Whether the treatment gave control's answer, apart from case, punctuation and spacing."""

from __future__ import annotations

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import against_control
from experiments.scorers.texts import normalised


class AgreementNormalised:
    """As `agreement`, but "Yes, sir!" is "yes sir", and a Devanagari digit is the digit that it stands for.

    Signs that carry meaning count: a minus before a number, `%`, currencies and other symbols. A text of nothing but
    punctuation agrees with any other such text.
    """

    version = "agreement_normalised/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two answers."""
        return against_control(control, treatment, _same)


def _same(control: str, treatment: str) -> float:
    return float(control == treatment or normalised(control) == normalised(treatment))
