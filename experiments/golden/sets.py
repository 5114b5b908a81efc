"""Golden sets: requests with the answers that one expects, as JSON lines; [docs/golden.md](../docs/golden.md).

    {"id": "t000", "request": {"messages": [...]}, "expected": {"exact": "..."}, "tags": {"language": "hi"}}

On live traffic a golden set serves as the reference: a request whose prompt is in the set is scored against it. As a
gate (`experiments.golden.runs`), its items are sent to both variants before any user is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenError, GoldenItem, read_items
from experiments.protocols import protocol

__all__ = ["Expected", "GoldenError", "GoldenItem", "GoldenSet", "load_golden"]


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
    return GoldenSet(read_items(path), protocol_name)
