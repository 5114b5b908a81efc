"""What is wrong with a configuration: file, line, key, value, rule, and a suggestion for a near miss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import process

_NEAR = 70.0


@dataclass(frozen=True)
class Problem:
    """One error of a configuration."""

    file: Path
    line: int
    key: str
    value: str
    """As it stands in the file; empty if the key is missing."""
    rule: str
    suggestion: str = ""

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        suggestion = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.key}{value}: {self.rule}{suggestion}"


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the allowed word that was probably meant, or an empty text.

    >>> nearest("mirorr_percent", ["split_percent", "mirror_percent"]), nearest("x", ["path"])
    ('mirror_percent', '')
    """
    found = process.extractOne(word, list(allowed), score_cutoff=_NEAR)
    return found[0] if found else ""
