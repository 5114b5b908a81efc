"""Whether an answer meets the golden set's expectation: one of its rules, or all of them."""

from __future__ import annotations

import msgspec

from experiments.golden.expectations import RULES, check
from experiments.golden.sets import Expected
from experiments.scorers.base import Answer, PairScore
from experiments.scorers.sides import referred


class Golden:
    """1 if the answer meets everything that is expected (`experiments.golden.expectations`), else 0.

    Args:
        label: Where the label stands in an answer, for items that expect one and do not say.
    """

    needs_reference = True

    def __init__(self, label: str | None = None) -> None:
        self._label = label
        self.version = "golden/1" if label is None else f"golden/1 {label}"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Check both answers; None where nothing is expected, or no program can tell."""
        if expected is None:
            return None
        return referred(control, treatment, lambda text: _met(expected, text, self._label))


class _Rule:
    """1 if the answer meets one rule of what is expected, else 0; other rules of the item are not looked at."""

    needs_reference = True
    rule: str

    def __init__(self) -> None:
        self.version = f"{self.rule}/1"

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Check both answers; None where the item has no such rule."""
        if expected is None or getattr(expected, self.rule) is None:
            return None
        alone = _alone(expected, self.rule)
        return referred(control, treatment, lambda text: _met(alone, text))


class Contains(_Rule):
    """1 if each of the texts in `contains` stands in the answer, else 0."""

    rule = "contains"


class Regex(_Rule):
    """1 if the pattern `regex` is found in the answer, else 0."""

    rule = "regex"


class JsonSchema(_Rule):
    """1 if the whole answer is JSON and valid under the item's `json_schema`, else 0."""

    rule = "json_schema"


def _alone(expected: Expected, rule: str) -> Expected:
    return msgspec.structs.replace(expected, **dict.fromkeys((r for r in RULES if r != rule), None))


def _met(expected: Expected, text: str, label: str | None = None) -> float | None:
    met = check(expected, text, label)
    return None if met is None else float(met)
