"""What is wrong with a configuration: file, line, key, value, rule, and a suggestion for a near miss."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process

_TYPO = 80.0
_NEAR = 70.0
_LONGEST_VALUE = 80
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/\s]*@")


@dataclass(frozen=True)
class Problem:
    """One error of a configuration.

    >>> str(Problem(Path("config.toml"), 23, "experiments.a.split_percent", "150", "must be between 0 and 100"))
    'config.toml:23  experiments.a.split_percent = 150: must be between 0 and 100'
    """

    file: Path
    """The file as it was named, or `environment`."""
    line: int
    """Line in the file, from 1; 0 for a variable of the environment."""
    key: str
    value: str
    """As it stands in the file; empty if the key is missing or is a table."""
    rule: str
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        value = f" = {self.value}" if self.value else ""
        suggestion = f' (did you mean "{self.suggestion}"?)' if self.suggestion else ""
        return f"{place}  {self.key}{value}: {self.rule}{suggestion}"


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return the allowed word that was probably meant, or an empty text.

    >>> known = ["url", "urls", "split_percent", "mirror_percent"]
    >>> nearest("mirorr_percent", known), nearest("urlss", known), nearest("split", known), nearest("x", known)
    ('mirror_percent', 'urls', 'split_percent', '')
    """
    words = list(allowed)
    typo = process.extractOne(word, words, scorer=fuzz.ratio, score_cutoff=_TYPO)
    found = typo or process.extractOne(word, words, scorer=fuzz.WRatio, score_cutoff=_NEAR)
    return found[0] if found else ""


def dotted(location: Iterable[str | int]) -> str:
    r"""Write a location as a TOML key.

    >>> dotted(("experiments", "a", "ramp", 0)), dotted(("two\nlines",))
    ('experiments.a.ramp.0', '"two\\nlines"')
    """
    return ".".join(_key(str(part)) for part in location)


def _key(part: str) -> str:
    return part if re.fullmatch(r"[A-Za-z0-9_.-]+", part) else _quoted(part)


def shown(value: Any) -> str:
    """Write a value as TOML does, on one short line and without credentials; a table is not shown.

    >>> shown("mysql://me:secret@db/x"), shown([True, 1.5, {"a": 1}]), shown({})
    ('"mysql://***@db/x"', '[true, 1.5, {...}]', '')
    """
    text = "" if isinstance(value, dict) else _written(value, levels=3)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _written(value: Any, levels: int) -> str:
    if isinstance(value, str):
        return _quoted(_CREDENTIALS.sub("***@", value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, list):
        return f"[{', '.join(_written(item, levels - 1) for item in value[:20])}]" if levels else "[...]"
    try:
        return str(value)
    except ValueError:  # hexadecimal integers may be longer than Python writes in decimals
        return "a very long number"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
