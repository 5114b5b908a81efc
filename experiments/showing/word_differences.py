"""In which words two answers differ. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from rapidfuzz.distance import Indel

_WORDS = re.compile(r"\S+|\s+")
"""Words are what stands between white space, whatever the script: no letter is cut off its vowel signs."""
_MOST_WORDS = 5_000
"""Of a text that is compared; beyond it, nothing is marked."""


class Piece(NamedTuple):
    """A stretch of an answer."""

    differs: bool
    """Whether the other answer has not got it in this place."""
    text: str


def word_differences(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Cut two texts into pieces, marked where they differ; joined again, the pieces are the texts.

    >>> word_differences("refund in 5 days", "refund in 7 days")[1]
    [Piece(differs=False, text='refund in '), Piece(differs=True, text='7'), Piece(differs=False, text=' days')]
    """
    words, other_words = _WORDS.findall(one), _WORDS.findall(other)
    if max(len(words), len(other_words)) > _MOST_WORDS:
        return [Piece(False, one)], [Piece(False, other)]  # noqa: FBT003
    left: list[Piece] = []
    right: list[Piece] = []
    for step in Indel.opcodes(words, other_words):
        differs = step.tag != "equal"
        for pieces, found in (
            (left, words[step.src_start : step.src_end]),
            (right, other_words[step.dest_start : step.dest_end]),
        ):
            if found:
                pieces.append(Piece(differs, "".join(found)))
    return left, right
