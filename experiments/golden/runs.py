"""A golden run: which requests go out, and whether each answer was right. Pure; `router.golden.client` sends them.

Each item goes to both variants, in an order drawn for each, so that neither always meets the warmer cache.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from experiments.golden.expectations import check
from experiments.golden.items import GoldenItem
from experiments.model import CONTROL, TREATMENT


class Planned(NamedTuple):
    """One item as it goes out."""

    item: GoldenItem
    body: bytes
    order: tuple[str, str]
    """The variants, the one that is asked first in front."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant answered to one item."""

    text: str | None = None
    """None if there was no answer that could be read."""
    error: str = ""
    """Why there was none."""
    latency_ms: float | None = None
    """Of the last attempt, to the last byte; None if there was no answer."""
    attempts: int = 1


class Outcome(StrEnum):
    """How one variant did on one item."""

    OK = "ok"
    """The answer meets the expectation."""
    WRONG = "wrong"
    """It does not."""
    FAILED = "failed"
    """There was no answer, after all attempts."""
    UNKNOWN = "unknown"
    """There was one, but no program here can tell whether it is right."""


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """One item, with how both variants did."""

    id: str
    tags: tuple[str, ...] = ()
    """`name=value`, or `name`."""
    critical: bool = False
    control: Outcome
    treatment: Outcome


def plan(items: Sequence[GoldenItem], draw: random.Random, model: str | None = None) -> list[Planned]:
    """Return the requests of a run: each item once, in an order that is drawn, as is which variant goes first.

    Args:
        items: The golden set.
        draw: A seed of its own makes a run repeatable.
        model: Goes into requests that name no model: the one that the experiment matches.
    """
    planned = [Planned(item, _body(item, model), _order(draw)) for item in items]
    draw.shuffle(planned)
    return planned


def _body(item: GoldenItem, model: str | None) -> bytes:
    named = model is None or "model" in item.request
    return msgspec.json.encode(item.request if named else {"model": model, **item.request})


def _order(draw: random.Random) -> tuple[str, str]:
    return (CONTROL, TREATMENT) if draw.random() < 0.5 else (TREATMENT, CONTROL)


def judge(item: GoldenItem, said: Said, label_from: str | None = None) -> Outcome:
    """Return how an answer did.

    Args:
        item: What was asked.
        said: What came back.
        label_from: Where a label stands, for items that do not say: the experiment's own `label`.
    """
    if said.error or said.text is None:
        return Outcome.FAILED
    met = check(item.expected, said.text, label_from)
    if met is None:
        return Outcome.UNKNOWN
    return Outcome.OK if met else Outcome.WRONG


def judge_all(
    items: Sequence[GoldenItem], answers: Mapping[str, Mapping[str, Said]], label_from: str | None = None
) -> list[ItemResult]:
    """Return how both variants did on every item, in the order of the set; what was not answered at all has failed.

    Args:
        items: The golden set.
        answers: Id of an item -> variant -> what it answered.
        label_from: As for `judge`.
    """
    missing = Said(error="not asked", attempts=0)

    def outcome(item: GoldenItem, variant: str) -> Outcome:
        return judge(item, answers.get(item.id, {}).get(variant, missing), label_from)

    return [
        ItemResult(
            id=item.id,
            tags=item.labels,
            critical=item.critical,
            control=outcome(item, CONTROL),
            treatment=outcome(item, TREATMENT),
        )
        for item in items
    ]
