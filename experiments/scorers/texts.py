r"""Words of any script, and texts without what makes no difference to their meaning. Pure.

Not by `\w`: the vowel signs of Indian scripts are marks, and would cut a word in two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_UNSEEN = frozenset("\u200b\u200c\u200d\u2060\ufeff")
_SIGN = re.compile(r"(?<![^\s(\[{=:])[-\u2010-\u2015](?=\d)")
"""A hyphen or dash that is a minus: before a digit, and not behind a letter or digit (`2020-21`, `A-7`)."""
_MINUS = "\u2212"


class _Letters(dict[int, str | None]):
    """A table for `str.translate` that fills itself: what is not kept becomes a space, or nothing if it is unseen."""

    def __init__(self, keep: Callable[[str], bool]) -> None:
        super().__init__()
        self._keep = keep

    def __missing__(self, code: int) -> str | None:
        letter = chr(code)
        found: str | None = letter if self._keep(letter) else " "
        if letter in _UNSEEN:
            found = None
        elif letter.isdecimal():
            found = str(unicodedata.decimal(letter))
        self[code] = found
        return found


def _in_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN"


def _has_meaning(letter: str) -> bool:
    return letter == "%" or unicodedata.category(letter)[0] in "LMNS"


_WORDS = _Letters(_in_word)
_MEANING = _Letters(_has_meaning)


def words(text: str) -> list[str]:
    """Return the words of a text, without case: letters with their marks, and digits, of all scripts as ASCII's.

    >>> words("Refund: ₹४२ — हिन्दी में!")
    ['refund', '42', 'हिन्दी', 'में']
    """
    return _folded(text).translate(_WORDS).split()


def normalised(text: str) -> str:
    """Return a text without case, punctuation and spacing. Signs that carry meaning stay: minus, percent, currencies.

    >>> normalised("  Yes,  SIR! "), normalised("It is -5 %."), normalised("It is 5 %.")
    ('yes sir', 'it is −5 %', 'it is 5 %')
    """
    return " ".join(_SIGN.sub(_MINUS, _folded(text)).translate(_MEANING).split())


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()
