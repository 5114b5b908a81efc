"""A label inside the answer, compared with the golden set's label."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore


class Label:
    """1 if the label extracted from the answer equals the expected label, else 0.

    Args:
        label: `json:path.to.field` or `regex:PATTERN` with one group, as in the configuration.
    """

    needs_reference = True

    def __init__(self, label: str) -> None:
        self._kind, _, self._pattern = label.partition(":")
        self.version = f"label/1 {label}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score both answers against `expected.label`, or the label inside `expected.exact`."""
        wanted = self._wanted(expected)
        if wanted is None:
            return None
        return PairScore(self._match(control, wanted), self._match(treatment, wanted))

    def _wanted(self, expected: Expected | None) -> str | None:
        if expected is None:
            return None
        if expected.label is not None:
            return expected.label
        return self.extract(expected.exact) if expected.exact is not None else None

    def _match(self, answer: Answer, wanted: str) -> float:
        return float(answer.ok and answer.text is not None and self.extract(answer.text) == wanted)

    def extract(self, text: str) -> str | None:
        """Return the label in a text, or None if there is none; what is no string is spelled as JSON does.

        >>> Label("json:intent").extract('{"intent": "refund", "order": "17"}')
        'refund'
        >>> Label("regex:(?i)label: *([a-z]+)").extract("Label: Refund")
        'Refund'
        """
        if self._kind == "regex":
            found = re.search(self._pattern, text)
            return found.group(1) if found else None
        try:
            value: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return None
        for key in self._pattern.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or isinstance(value, str):
            return value
        return msgspec.json.encode(value).decode()
