"""Golden sets: requests with the answers that one expects, as JSON lines.

    {"id": "t000", "request": {"messages": [...]}, "expected": {"exact": "..."}, "tags": {"language": "hi"}}

On live traffic a golden set serves as the reference: a request whose prompt is in the set is scored against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from experiments.protocols import protocol


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a right answer is."""

    exact: str | None = None
    label: str | None = None


class GoldenItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a golden set."""

    id: str
    request: dict[str, Any]
    expected: Expected
    tags: dict[str, str] = {}


class GoldenError(Exception):
    """A golden set that cannot be read: file, line, and what is wrong."""


class GoldenSet:
    """The items of a golden set, and the expected answer of a prompt."""

    def __init__(self, items: Sequence[GoldenItem], protocol_name: str = "openai") -> None:
        self.items = tuple(items)
        read = protocol(protocol_name)
        self._by_prompt: dict[str, Expected] = {}
        for item in self.items:
            prompt = read.prompt(msgspec.json.encode(item.request).decode())
            if prompt is not None:
                self._by_prompt[prompt.strip()] = item.expected

    def __len__(self) -> int:
        return len(self.items)

    def expected(self, prompt: str | None) -> Expected | None:
        """Return what a right answer to this prompt is; None if the set does not know the prompt."""
        return None if prompt is None else self._by_prompt.get(prompt.strip())


def load_golden(path: Path, protocol_name: str = "openai") -> GoldenSet:
    """Read a golden set.

    Raises:
        GoldenError: The file cannot be read, or a line is not a golden item; the message names both.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise GoldenError(f"{path}: {error.strerror}") from error
    items = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            items.append(msgspec.json.decode(line, type=GoldenItem))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise GoldenError(f"{path}:{number}: {error}") from error
    return GoldenSet(items, protocol_name)
