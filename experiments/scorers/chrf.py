"""chrF: how many runs of one to six characters two texts share. Needs no tokenizer, so it holds for every script."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import against_control

_VARIANT = "nc:6|nw:0|beta:2|case:mixed|space:no"
"""In sacreBLEU's words."""


class Chrf:
    """The sentence chrF of the treatment against control, in 0..1.

    Control scores 1 by definition. A likeness, no truth: a better answer in other words scores low. Run an A/A test to
    see how unlike itself control is, and leave that much room in the margin.
    """

    version = f"chrf/1 {_VARIANT}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Compare the two answers; None where control said nothing."""
        return against_control(control, treatment, lambda said, like: _chrf([like], said)[0] if said.strip() else None)


class ChrfReference:
    """The sentence chrF of each answer against the golden set's `reference`, or its `exact` text."""

    version = f"chrf_reference/1 {_VARIANT}"
    needs_reference = True

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score both answers against the reference; None where there is none. A failure scores 0."""
        wanted = None if expected is None else expected.reference or expected.exact
        if not wanted or not wanted.strip():
            return None
        return PairScore(*_chrf([(a.text if a.ok else None) or "" for a in (control, treatment)], wanted))


def _chrf(texts: Sequence[str], reference: str) -> list[float]:
    # numpy is loaded by who scores, and not by every process that reads a configuration with this scorer in it.
    from experiments.scorers.character_ngrams import chrf  # noqa: PLC0415

    return chrf(texts, reference)
