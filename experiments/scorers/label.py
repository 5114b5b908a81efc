"""A label inside the answer, compared with the golden set's label.

Patterns are RE2's on purpose: an answer comes from a model and may be anything, and RE2's time is linear in its length.
"""

from __future__ import annotations

from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

from experiments.golden.sets import Expected
from experiments.model import CONTROL, TREATMENT
from experiments.scorers.base import Answer, DetailedScore, PairScore, ScorerError

LONGEST_LABEL = 64
"""Characters of a label that is kept with its outcome."""
NO_LABEL = "(too long for a label)"
LABEL_RULE = 'must be "json:path.to.field", or "regex:..." with exactly one group, in RE2\'s syntax'


class Label:
    """1 if the label extracted from the answer equals the expected label, else 0.

    Args:
        label: `json:path.to.field` or `regex:PATTERN` with one group, as in the configuration.

    Raises:
        ScorerError: The pattern is none that RE2 can read.
    """

    needs_reference = True

    def __init__(self, label: str) -> None:
        kind, _, self._path = label.partition(":")
        try:
            self._regex = _compiled(self._path) if kind == "regex" else None
        except (re2.error, UnicodeError) as error:
            raise ScorerError("label", LABEL_RULE) from error
        # Version 1 of patterns was Python's `re`, where `\w` and `\d` know all scripts.
        self.version = f"label/{1 if self._regex is None else 2} {label}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score both answers against `expected.label`, or the label inside `expected.exact`; all are the detail."""
        wanted = self._wanted(expected)
        if wanted is None:
            return None
        given = {CONTROL: self._given(control), TREATMENT: self._given(treatment)}
        detail = {"expected": wanted} | {variant: _short(label) for variant, label in given.items()}
        return DetailedScore(float(given[CONTROL] == wanted), float(given[TREATMENT] == wanted), detail)

    def _wanted(self, expected: Expected | None) -> str | None:
        if expected is None:
            return None
        if expected.label is not None:
            return expected.label
        return self.extract(expected.exact) if expected.exact is not None else None

    def _given(self, answer: Answer) -> str | None:
        return self.extract(answer.text) if answer.ok and answer.text is not None else None

    def extract(self, text: str) -> str | None:
        """Return the label in a text, or None if there is none; what is no string is spelled as JSON does.

        >>> Label("json:intent").extract('{"intent": "refund", "order": "17"}')
        'refund'
        >>> Label("regex:(?i)label: *([a-z]+)").extract("Label: Refund")
        'Refund'
        """
        if self._regex is not None:
            # What is no Unicode (half a surrogate pair) would make RE2 raise.
            found = self._regex.search(text.encode("utf-8", "replace").decode())
            return found.group(1) if found else None
        try:
            value: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return None
        for key in self._path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or isinstance(value, str):
            return value
        return msgspec.json.encode(value).decode()


def is_extractor(text: str) -> bool:
    """Whether a text says where a label stands."""
    kind, _, pattern = text.partition(":")
    if kind == "json":
        return all(pattern.split("."))
    try:
        return kind == "regex" and _compiled(pattern).groups == 1
    except (re2.error, UnicodeError):
        return False


def _short(label: str | None) -> str | None:
    """Return what may be kept of an answer's label: a long one is no label but text, and outcomes outlive texts."""
    return label if label is None or len(label) <= LONGEST_LABEL else NO_LABEL


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # its library would write to standard error
    return re2.compile(pattern, options)
