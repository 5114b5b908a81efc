"""The seam of a scorer: a name with a version, and one method."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from experiments.golden import Expected


class Answer(NamedTuple):
    """What a variant answered."""

    text: str | None
    """None if there was no answer that could be read."""
    ok: bool
    """False after an error, a timeout or a fallback: such an answer counts as a failure, it is never left out."""


class PairScore(NamedTuple):
    """The scores of both answers, each in 0..1, higher is better."""

    control: float
    treatment: float


class Scorer(Protocol):
    """Turns a pair of answers into scores."""

    @property
    def version(self) -> str:
        """Name and version, stored with every outcome: `exact/1`."""
        ...

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score a pair; None if the metric does not apply to it (for example no reference is known)."""
        ...
