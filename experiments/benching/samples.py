"""What a benchmark measures: one sample for each item and variant, and the order in which items go out. Pure.

Items go out in blocks: a block goes to one variant, then to the other, and the next block to them in the other order.
So only one server computes at a time (on one machine they would take each other's processor), and neither is always
the one that finds the item's text in the processor's caches. With one request at a time a block is one item.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from experiments.golden.items import GoldenItem
from experiments.model import CONTROL, TREATMENT

_ROUNDS_A_BLOCK = 8
"""Requests of a block for each one in flight: fewer, and the last of each block would leave the server half idle."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant answered to one item, and how fast."""

    text: str | None = None
    """None for a failure, and for an answer that is a vector."""
    vector: tuple[float, ...] | None = None
    """The embedding, shape (dimensions,)."""
    error: str = ""
    """Why there is no answer; empty if there is one."""
    begun_s: float = 0.0
    """When the request went out, on a clock that only rises."""
    latency_ms: float | None = None
    """From then to the last byte; None for a failure."""
    first_ms: float | None = None
    """To the first piece of text of a stream; None if the answer came in one piece."""
    tokens: int | None = None
    """Written by the model; for an embedding those that it read. None if the backend does not say."""
    tokens_estimated: bool = False
    """Counted from a stream's chunks, because the backend did not report them."""

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return not self.error


Samples = Mapping[str, Sample]
"""All that one variant did: id of an item -> sample."""


class Block(NamedTuple):
    """Items that go to one variant, and then to the other."""

    items: tuple[GoldenItem, ...]
    order: tuple[str, str]
    """The variants, the one that is asked first in front."""


def blocks(items: Sequence[GoldenItem], concurrency: int, draw: random.Random) -> list[Block]:
    """Return the blocks of a benchmark: each item once, in an order that is drawn; the first variant alternates.

    Args:
        items: The golden set.
        concurrency: Requests in flight, at least 1.
        draw: A seed of its own makes the order repeatable.

    Raises:
        ValueError: `concurrency` is below 1.

    >>> from experiments.golden.expectations import Expected
    >>> three = [GoldenItem(id=i, request={}, expected=Expected(exact="")) for i in "abc"]
    >>> [block.order[0] for block in blocks(three, 1, random.Random(1))]
    ['control', 'treatment', 'control']
    """
    if concurrency < 1:
        raise ValueError(f"concurrency == {concurrency!r}, must be >= 1")
    size = 1 if concurrency == 1 else concurrency * _ROUNDS_A_BLOCK
    drawn = list(items)
    draw.shuffle(drawn)
    orders = ((CONTROL, TREATMENT), (TREATMENT, CONTROL))
    return [
        Block(tuple(drawn[start : start + size]), orders[number % 2])
        for number, start in enumerate(range(0, len(drawn), size))
    ]
