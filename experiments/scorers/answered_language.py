"""Whether an answer is in the user's language and script."""

from __future__ import annotations

from typing import NamedTuple

from experiments.golden.sets import Expected
from experiments.languages.identify import CANNOT_TELL, slices_of
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import each

OPENING = 300
"""Characters that are read of a text: enough to know a language by, and each more costs time."""
_MIXED = "mixed"


class Tongue(NamedTuple):
    """A text's language and script, as `experiments.languages.identify` names them."""

    language: str
    script: str


class AnsweredLanguage:
    """1 for an answer in the prompt's language and script, 0 for one in another: romanised Hindi is not Hindi.

    A text with two scripts (Hindi with a product's name in Latin letters) differs from no script: there the languages
    decide. What is too short to tell is left out, unless the script tells.
    """

    version = "answered_language/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Score each answer by itself; None where the language of the prompt, or of an answer, cannot be told."""
        asked = tongue_of(control.prompt or "")
        if asked.language == CANNOT_TELL:
            return None
        return each(control, treatment, lambda answer: _fits(asked, answer))


def tongue_of(text: str) -> Tongue:
    """Return the language and script of a text.

    >>> tongue_of("mera order kab aayega?")
    Tongue(language='hi-Latn', script='latin')
    """
    found = slices_of(text[:OPENING], ("language", "script"))
    return Tongue(found["language"], found["script"])


def _fits(asked: Tongue, answer: Answer) -> float | None:
    if answer.text is None:
        return 0.0 if answer.empty else None
    said = tongue_of(answer.text)
    if CANNOT_TELL not in said[1:] and _MIXED not in {asked.script, said.script} and asked.script != said.script:
        return 0.0
    return None if said.language == CANNOT_TELL else float(asked.language == said.language)
