r"""Whether an answer declines to answer.

A list of patterns, no understanding: it knows the openings that chat models use in English, Hindi and Hinglish (Hindi
in Latin letters), and looks at the first 300 characters only, since a refusal opens an answer. "I cannot find your
order" is an answer; "I cannot help with that" is a refusal. What it misses, `patterns` adds.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Any

import re2  # type: ignore[import-untyped]

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore, ScorerError
from experiments.scorers.sides import each

OPENING = 300
"""Characters of an answer that are looked at, after its white space was evened out."""
_REFUSED = frozenset({"refusal", "content_filter", "safety"})
"""Finish reasons that say it in so many words."""

_DO = (
    r"(?:\w+ ){0,2}(?:help|assist|comply|answer|provide|discuss|share|give|offer|create|generate|write|produce|engage|"
    r"continue|fulfil|fulfill|support|do that|do this|participate)\b"
)
_CANNOT = r"(?:can(?:not|'t| not)|could(?: not|n't)|will not|won't)"
_UNABLE = r"(?:unable to|not able to|not allowed to|not permitted to)"
ENGLISH = (
    rf"\b(?:i|we)(?: {_CANNOT}|(?: am|'m| are|'re) {_UNABLE}) {_DO}",
    rf"\b(?:sorry|afraid|apologi[sz]e|apologies)\b[^.!?]{{0,40}}\b(?:{_CANNOT}|{_UNABLE}) {_DO}",
    r"\b(?:i|we) (?:must|have to|will have to|need to) (?:\w+ )?(?:decline|refuse)\b",
    r"\bi (?:\w+ )?(?:decline|refuse) to\b",
    r"\bi(?:'d| would) (?:rather not|prefer not to)\b",
    r"\bas an ai(?: language)?(?: model| assistant)?\b[^.!?]{0,60}\b(?:cannot|can't|unable|not able|not allowed)\b",
    r"\b(?:against|violates?|outside) (?:my|our|the) (?:usage |content |safety )?(?:polic|guideline|programming)",
)
_CANNOT_HI = "(?:नहीं (?:कर|दे|बता) (?:सकता|सकती|सकते|सकूँगा|सकूंगा|सकूँगी|सकूंगी|पाऊँगा|पाऊंगा|पाऊँगी|पाऊंगी|पाएँगे|पाएंगे)|असमर्थ)"
HINDI = (
    f"(?:मैं|हम)[^।.!?]{{0,80}}(?:मदद|सहायता|जवाब|उत्तर|सलाह|जानकारी)[^।.!?]{{0,40}}{_CANNOT_HI}",
    f"(?:माफ़|माफ|क्षमा|खेद|सॉरी)[^।.!?]{{0,30}}(?:मैं|हम)[^।.!?]{{0,60}}{_CANNOT_HI}",
    f"(?:अनुरोध|सवाल|प्रश्न)[^।.!?]{{0,40}}(?:पूरा|जवाब|उत्तर)[^।.!?]{{0,20}}{_CANNOT_HI}",
)
_CANNOT_HINGLISH = r"(?:\bna?h(?:i+|ee)n?\b (?:\w+ )?(?:sakt[aie]|sakung[ai]|paung[ai]|paa?yenge)\b|\bas[ah]?a?marth\b)"
_MY_ANSWER_HINGLISH = r"\b(?:madad|help|sahaya?ta|jawaa?b|answer|salaah|salah|jaa?nkaa?ri)\b"
HINGLISH = (
    rf"\b(?:main|mai|mein|me|hum|ham)\b[^.!?]{{0,80}}{_MY_ANSWER_HINGLISH}[^.!?]{{0,40}}{_CANNOT_HINGLISH}",
    rf"\b(?:sorry|maaf|maf|kshama|khed)\b[^.!?]{{0,30}}\b(?:main|mai|hum|ham)\b[^.!?]{{0,60}}{_CANNOT_HINGLISH}",
)
_BUILT_IN = (*ENGLISH, *HINDI, *HINGLISH)


class Refusal:
    """1 for an answer that is no refusal, 0 for one that is. Higher is better, as everywhere.

    Args:
        patterns: More of them, in RE2's syntax; case does not count.

    Raises:
        ScorerError: A pattern cannot be read.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        for number, pattern in enumerate(patterns, start=1):
            _check(pattern, number)
        written = unicodedata.normalize("NFC", "|".join(f"(?:{pattern})" for pattern in (*_BUILT_IN, *patterns)))
        self._refuses = _compiled(written)
        self.version = "refusal/1"
        if patterns:
            self.version += f" {hashlib.sha256(repr(tuple(patterns)).encode()).hexdigest()[:8]}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:  # noqa: ARG002
        """Score each answer by itself."""
        return each(control, treatment, self._answers)

    def _answers(self, answer: Answer) -> float:
        if (answer.finish_reason or "").lower() in _REFUSED:
            return 0.0
        return float(self._refuses.search(_opening(answer.text or "")) is None)


def _opening(text: str) -> str:
    # Twice the length is enough to even out, and a long answer is not read to its end for its first words.
    shown = " ".join(text[: 2 * OPENING].split())[:OPENING].replace("’", "'")
    if shown.isascii():
        return shown
    # What is no Unicode (half a surrogate pair) would make RE2 raise.
    return unicodedata.normalize("NFC", shown.encode("utf-8", "replace").decode())


def _check(pattern: str, number: int) -> None:
    try:
        finds_nothing = _compiled(pattern).search("") is not None
    except (re2.error, UnicodeError) as error:
        said = error.args[0] if isinstance(error, re2.error) and error.args else error
        rule = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ScorerError("patterns", f"number {number} is no pattern that RE2 can read: {rule}") from error
    if finds_nothing:
        raise ScorerError("patterns", f"number {number} is found in every text, even in an empty one")


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # its library would write to standard error
    options.case_sensitive = False
    return re2.compile(pattern, options)
