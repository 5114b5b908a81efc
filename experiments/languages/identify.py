"""The language of a prompt, its script, and whether it switches between Hindi and English: slices nobody has to send.

Off the traffic's path: the recorder asks, the proxy only where a language is mirrored more. The language comes from
py3langid, but for the two things that identifiers get wrong: romanised Hindi (`experiments.languages.hinglish`), and
Hindi with English words in it, where the words in Devanagari decide. "Cannot tell" is a result like any other, never a
default language: a text that is too short, or of which the identifier is not sure, says so. Figures and the choice of
library are in docs/slices.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from experiments.languages.hinglish import count_words

CANNOT_TELL = "cannot tell"
HINGLISH = "hi-Latn"
MAX_CHARACTERS = 1_000
"""Of a prompt, from its beginning: more would not change the answer, only its cost."""

_LATIN, _DEVANAGARI, _OTHER, _MIXED = "latin", "devanagari", "other", "mixed"
_LEAST_SHARE_OF_SCRIPT = 0.1
"""A script with fewer of the letters is a name or a symbol."""
_LEAST_SHARE_OF_HINDI = 0.25
"""With fewer of its words in Devanagari, a mixed text is judged by the others."""
_LEAST_CONFIDENCE = 0.5
_LEAST_WORDS, _LEAST_LETTERS = 2, 8
"""Of a text in Latin letters."""
_LEAST_SIGNS = 5
"""Of a text in any other script, which says more with each letter."""
_LONGEST_ACRONYM = 5
_WORD = re.compile(r"[\u0900-\u0963\u0971-\u097f]+|[^\W\d_]+(?:['’][^\W\d_]+)*")
"""Devanagari by its block: its vowel signs are no letters to `re`."""
_NOISE = re.compile(r"://|www\.|@")


def _listed(words: str) -> frozenset[str]:
    # NFC, as the prompts are: a letter with a dot below has two spellings.
    return frozenset(unicodedata.normalize("NFC", words).split())


_HINDI = _listed("""
    है हैं हूँ हूं था थी थे का की के को में से पर ने नहीं और यह वह ये वो मेरा मेरी मेरे मुझे मैं मैंने आप आपका
    आपकी आपके हम क्या क्यों कब कैसे कहाँ कहां कितना कितने कितनी कौन कोई कुछ लिए तक भी तो ही रहा रही रहे गया गई
    गए हुआ हुई हुए हो होगा होगी कर करें करना करने चाहिए दीजिए कीजिए बताइए लेकिन अभी बहुत अपना अपनी अपने इस उस जो
    वाले मत दो दें दे भेज भेजो भेजें भेजना करो आएगा आएगी मिलेगा जल्दी
""")
_NOT_HINDI = _listed("""
    आहे आहेत नाही माझा माझी माझे मला तुम्ही आणि काय कधी कसे कुठे झाले झाली पाहिजे होते
    छ छन् छैन मेरो तपाईं हुन्छ गर्न भयो पनि कति कहिले लाई गर्नुहोस्
""")
"""Of Marathi, and of Nepali."""
# Identifiers confuse the languages of one script in short texts; their small words do not.


class _Text(NamedTuple):
    """A prompt, taken apart once."""

    letters: Counter[str]
    """By script."""
    latin: tuple[str, ...]
    """Words in Latin letters, as written."""
    devanagari: tuple[str, ...]
    text: str
    """Without numbers, addresses and codes, which belong to no language."""


def slices_of(prompt: str, wanted: Sequence[str]) -> dict[str, str]:
    """Return the slices that are found in a prompt's text.

    Args:
        prompt: The text; what is beyond its first 1,000 characters is not read.
        wanted: Attributes: `language`, `script`, `code_switched`. Others are left out, since they come from elsewhere.

    Returns:
        Attribute -> value, for the wanted ones. `language` is an ISO 639 code, or `hi-Latn` for romanised Hindi;
        `script` is `latin`, `devanagari`, `mixed` or `other`; `code_switched`, between Hindi and English, is `yes` or
        `no`. Each may be `cannot tell`.

    >>> slices_of("mera order kab aayega?", ["language", "script", "code_switched"])
    {'language': 'hi-Latn', 'script': 'latin', 'code_switched': 'yes'}
    >>> slices_of("ok", ["language", "x-tenant"])
    {'language': 'cannot tell'}
    """
    known = [attribute for attribute in wanted if attribute in _ATTRIBUTES]
    if not known:
        return {}
    text = _taken_apart(prompt[:MAX_CHARACTERS])
    return {attribute: _ATTRIBUTES[attribute](text) for attribute in known}


def _taken_apart(prompt: str) -> _Text:
    # NFC first: one letter, one spelling, however it was typed.
    pieces = [piece for piece in unicodedata.normalize("NFC", prompt).split() if not _is_noise(piece)]
    text = " ".join(pieces)
    words = _WORD.findall(text)
    return _Text(
        letters=Counter(_script_of(letter) for letter in text if letter.isalpha()),
        latin=tuple(word for word in words if _script_of(word[0]) == _LATIN),
        devanagari=tuple(word for word in words if _script_of(word[0]) == _DEVANAGARI),
        text=text,
    )


def _is_noise(piece: str) -> bool:
    """Say whether a piece is a number, an order's code, an address of the web or of mail."""
    return _NOISE.search(piece) is not None or (piece.isascii() and any(sign.isdigit() for sign in piece))


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    name = unicodedata.name(letter, "")
    for script in (_LATIN, _DEVANAGARI):
        if name.startswith(script.upper()):
            return script
    return _OTHER


def _script(text: _Text) -> str:
    total = text.letters.total()
    if not total:
        return CANNOT_TELL
    found = [script for script, letters in text.letters.items() if letters >= _LEAST_SHARE_OF_SCRIPT * total]
    return found[0] if len(found) == 1 else _MIXED


def _language(text: _Text) -> str:
    words = len(text.latin) + len(text.devanagari)
    if text.devanagari and len(text.devanagari) >= _LEAST_SHARE_OF_HINDI * words:
        return _of_devanagari(text.devanagari)
    if text.letters[_OTHER] > text.letters[_LATIN]:
        return _identified(text.text) if text.letters.total() >= _LEAST_SIGNS else CANNOT_TELL
    return _of_latin(text.latin)


def _of_latin(words: tuple[str, ...]) -> str:
    counts = count_words([word.lower() for word in words])
    if counts.is_hinglish:
        return HINGLISH
    if len(words) < _LEAST_WORDS or sum(map(len, words)) < _LEAST_LETTERS:
        return CANNOT_TELL
    if counts.is_english:
        return "en"
    # Lower case: the identifier takes shouting for another language.
    return _identified(" ".join(words).lower())


def _of_devanagari(words: tuple[str, ...]) -> str:
    if sum(map(len, words)) < _LEAST_SIGNS:
        return CANNOT_TELL
    if any(word in _HINDI for word in words) and not any(word in _NOT_HINDI for word in words):
        return "hi"
    return _identified(" ".join(words))


def _identified(text: str) -> str:
    language, confidence = _identifier().classify(text)
    return str(language) if confidence >= _LEAST_CONFIDENCE else CANNOT_TELL


@cache
def _identifier() -> Any:
    """Load the model, at the first text that needs it: about a second and 70 MB that other processes do not pay."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]  # noqa: PLC0415

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _code_switched(text: _Text) -> str:
    """Say whether Hindi and English are mixed; of other languages, and of very short texts, it cannot be told."""
    language = _language(text)
    found = count_words([word.lower() for word in text.latin])
    if language == "hi":
        # OTP or KYC in a Hindi sentence is a name, not a switch.
        return _yes_or_no(any(not _is_acronym(word) for word in text.latin))
    if language == "en":
        return _yes_or_no(bool(text.devanagari) or found.sure > 0)
    if language == HINGLISH:
        if text.devanagari or found.english:
            return "yes"
        return "no" if 3 * found.unknown <= found.words else CANNOT_TELL
    return CANNOT_TELL


def _is_acronym(word: str) -> bool:
    return word.isupper() and len(word) <= _LONGEST_ACRONYM


def _yes_or_no(found: bool) -> str:  # noqa: FBT001  # a verdict, not a switch
    return "yes" if found else "no"


_ATTRIBUTES: dict[str, Callable[[_Text], str]] = {
    "language": _language,
    "script": _script,
    "code_switched": _code_switched,
}
ATTRIBUTES = frozenset(_ATTRIBUTES)
"""What can be found in a text."""
