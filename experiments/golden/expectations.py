r"""Expectations: what a right answer to a golden item is, and whether a text meets it. Pure.

| rule | met if |
|---|---|
| `exact` | the answer is that text |
| `contains` | each of the texts stands in the answer; case counts only with `case_sensitive` |
| `regex` | the pattern (RE2's syntax) is found in the answer |
| `json_schema` | the whole answer is JSON and valid |
| `label`, `from` | what `from` (`json:path` or `regex:...` with one group) finds in the answer is that label |
| `reference`, `threshold` | the two texts share so many words: token F1 of at least `threshold`, in (0, 1] |

Several rules of one item must all be met. Texts are normalised before they are compared: Unicode's NFC, white space
around them dropped. For everything but `exact` and `json_schema`, digits of all scripts are ASCII's (so `\d` finds
Devanagari's), and joiners that are not seen are dropped; for `contains`, `label` and `reference`, in addition, letters
are case-folded and each run of white space is one space.

Patterns are RE2's on purpose: an answer comes from a model and may be anything, and RE2's time is linear in its length,
where Python's `re` may take longer than anybody waits. RE2 has neither look-around nor back-references, and its `\w`,
`\b` and `\s` know ASCII only: write `\p{Devanagari}` and the like for other scripts.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec
import re2  # type: ignore[import-untyped]

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError)
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a right answer is."""

    exact: str | None = None
    label: str | None = None
    label_from: str | None = msgspec.field(name="from", default=None)
    """Where the label stands in an answer: `json:path.to.field`, or `regex:PATTERN` with one group."""
    contains: tuple[str, ...] | None = None
    case_sensitive: bool = False
    """Of `contains`."""
    regex: str | None = None
    json_schema: dict[str, Any] | bool | None = None
    reference: str | None = None
    threshold: float | None = None
    """Of the token F1 with `reference`; without one, the reference needs a scorer that is none of ours."""


RULES = ("exact", "contains", "regex", "json_schema", "label", "reference")
"""The keys that say what is expected; the others go with one of them."""


class Flaw(NamedTuple):
    """Why an expectation cannot be used."""

    key: str
    rule: str


def check(expected: Expected, answer: str, label_from: str | None = None) -> bool | None:
    r"""Return whether an answer meets an expectation; None if that cannot be told here.

    Args:
        expected: Without a flaw.
        answer: The whole text that a model answered.
        label_from: Where a label stands, for expectations that do not say.

    >>> check(Expected(contains=("42 rupees",)), "That makes ४२  Rupees.")
    True
    >>> check(Expected(label="yes", label_from=r"regex:(?i)^\W*(yes|no)"), "No, sorry.")
    False
    >>> check(Expected(reference="within seven days"), "in a week") is None
    True
    """
    met = [_RULES[rule](expected, answer, label_from) for rule in RULES if getattr(expected, rule) is not None]
    if False in met:
        return False
    return None if None in met or not met else True


def flaw(expected: Expected) -> Flaw | None:
    """Return the first thing that makes an expectation useless, or None.

    >>> flaw(Expected(exact="x", threshold=0.5))
    Flaw(key='threshold', rule='goes with reference')
    """
    return next(_flaws(expected), None)


def extract(label_from: str, answer: str) -> str | None:
    """Return the label in an answer, or None if there is none; what is no string is spelled as JSON does.

    >>> extract("json:intent", '{"intent": "refund", "order": "17"}'), extract("regex:total: *([0-9]+)", "total: १२")
    ('refund', '12')
    """
    kind, _, pattern = label_from.partition(":")
    if kind == "regex":
        found = _compiled(pattern).search(_folded_digits(answer))
        return found.group(1) if found else None
    value = _decoded(answer)
    for key in pattern.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def token_f1(answer: str, reference: str) -> float:
    """Return the harmonic mean of the shares of words that each of two texts shares with the other, in [0, 1].

    >>> token_f1("You can return it within 7 days", "return within 7 days")
    0.7272727272727273
    """
    said, wanted = _words(answer), _words(reference)
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total()) if shared else 0.0


def _exact(expected: Expected, answer: str, _: str | None) -> bool:
    return _composed(answer) == _composed(expected.exact or "")


def _contains(expected: Expected, answer: str, _: str | None) -> bool:
    form = _spaced if expected.case_sensitive else _plain
    text = form(answer)
    return all(form(part) in text for part in expected.contains or ())


def _regex(expected: Expected, answer: str, _: str | None) -> bool:
    return _compiled(expected.regex or "").search(_folded_digits(answer)) is not None


def _json_schema(expected: Expected, answer: str, _: str | None) -> bool:
    value = _decoded(answer)
    if value is msgspec.UNSET:
        return False
    try:
        return _validator(msgspec.json.encode(expected.json_schema)).is_valid(value)
    except (ValueError, OverflowError):  # a number that is larger than the validator can hold
        return False


def _label(expected: Expected, answer: str, label_from: str | None) -> bool | None:
    source = expected.label_from or label_from
    if source is None:
        return None
    found = extract(source, answer)
    return found is not None and _plain(found) == _plain(expected.label or "")


def _reference(expected: Expected, answer: str, _: str | None) -> bool | None:
    if expected.threshold is None:
        return None
    return token_f1(answer, expected.reference or "") >= expected.threshold


_RULES: dict[str, Callable[[Expected, str, str | None], bool | None]] = {
    "exact": _exact,
    "contains": _contains,
    "regex": _regex,
    "json_schema": _json_schema,
    "label": _label,
    "reference": _reference,
}


def _flaws(expected: Expected) -> Iterator[Flaw]:
    if all(getattr(expected, rule) is None for rule in RULES):
        yield Flaw("", f"must say what is expected, by one of {', '.join(RULES)}")
    companions = (("label_from", "label"), ("case_sensitive", "contains"), ("threshold", "reference"))
    for key, rule in companions:
        if getattr(expected, key) not in {None, False} and getattr(expected, rule) is None:
            yield Flaw("from" if key == "label_from" else key, f"goes with {rule}")
    if expected.contains is not None and not (expected.contains and all(map(_plain, expected.contains))):
        yield Flaw("contains", "must list at least one text, and none that is empty")
    if expected.threshold is not None and not 0 < expected.threshold <= 1:
        yield Flaw("threshold", f"is {expected.threshold:g}, must be above 0 and at most 1")
    if expected.reference is not None and not _words(expected.reference):
        yield Flaw("reference", "must have words")
    yield from _pattern_flaws(expected)
    if expected.json_schema is not None and (rule := _schema_rule(expected.json_schema)):
        yield Flaw("json_schema", rule)


def _pattern_flaws(expected: Expected) -> Iterator[Flaw]:
    if expected.regex is not None and (rule := _pattern_rule(expected.regex)):
        yield Flaw("regex", rule)
    if expected.label_from is None:
        return
    kind, _, pattern = expected.label_from.partition(":")
    if kind not in {"json", "regex"} or not pattern:
        yield Flaw("from", 'must be "json:PATH" or "regex:PATTERN"')
    elif kind == "regex" and (rule := _pattern_rule(pattern)):
        yield Flaw("from", rule)
    elif kind == "regex" and (groups := _compiled(pattern).groups) != 1:
        yield Flaw("from", f"has {groups} groups, must have one: what is in it is the label")


def _pattern_rule(pattern: str) -> str:
    try:
        _compiled(pattern)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        return f"is no pattern that RE2 can read: {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return ""


def _schema_rule(schema: dict[str, Any] | bool) -> str:  # noqa: FBT001  # true and false are schemas
    try:
        _validator(msgspec.json.encode(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return f"is no JSON schema: {(str(error).splitlines() or [''])[0]}"
    return ""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # its library would write to standard error
    return re2.compile(pattern, options)


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    # Offline: a schema that refers to a URL or a file must not make this process fetch it. Patterns: as above, linear.
    return jsonschema_rs.validator_for(
        msgspec.json.decode(schema), offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _decoded(answer: str) -> Any:
    try:
        return msgspec.json.decode(answer)
    except _UNREADABLE:
        return msgspec.UNSET


def _composed(text: str) -> str:
    # What is no Unicode (half a surrogate pair) would make RE2 raise.
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).strip()


def _folded_digits(text: str) -> str:
    composed = _composed(text).translate(_UNSEEN)
    if composed.isascii():
        return composed
    return "".join(str(unicodedata.decimal(c, c)) if c.isdecimal() else c for c in composed)


def _spaced(text: str) -> str:
    return " ".join(_folded_digits(text).split())


def _plain(text: str) -> str:
    return _spaced(text).casefold()


def _words(text: str) -> Counter[str]:
    # Not by `\w`: the vowel signs of Indian scripts are marks, and would cut a word in two.
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in _plain(text))
    return Counter("".join(kept).split())
