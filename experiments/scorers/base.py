"""The seam of a scorer: a name with a version, and one method."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

from experiments.golden.sets import Expected


class Answer(NamedTuple):
    """What a variant answered."""

    text: str | None
    """None if there was no answer that could be read."""
    ok: bool
    """False after an error, a timeout or a fallback: such an answer counts as a failure, it is never left out."""
    finish_reason: str | None = None
    """Why the answer ended, in the backend's words (`stop`, `length`); None if it does not say."""
    tool_calls: int | None = None
    """How many tools the answer calls; None if this kind of answer has no tools."""
    empty: bool = False
    """Whether it is a good answer with nothing in it: no text and no call of a tool."""
    prompt: str | None = None
    """What the user asked; the same for both answers of a pair."""


class PairScore(NamedTuple):
    """The scores of both answers, each in 0..1, higher is better: their difference is in -1..1."""

    control: float
    treatment: float


class DetailedScore(PairScore):
    """The scores of both answers, and what is kept with them.

    Args:
        control: As in `PairScore`.
        treatment: As in `PairScore`.
        detail: Kept with the outcome as JSON; it outlives the answers' texts.
    """

    detail: dict[str, Any]

    def __new__(cls, control: float, treatment: float, detail: dict[str, Any]) -> Self:
        """Make a pair of scores that is like any other, and has a detail."""
        made = super().__new__(cls, control, treatment)
        made.detail = detail
        return made


class ScorerError(ValueError):
    """A scorer that cannot be made: the key of the configuration, and the rule that its value breaks.

    Args:
        key: `scorer`, `patterns`, ...
        rule: Said after the key and its value: "must not be empty".
    """

    def __init__(self, key: str, rule: str) -> None:
        super().__init__(f"{key}: {rule}")
        self.key = key
        self.rule = rule


class Scorer(Protocol):
    """Turns a pair of answers into scores."""

    @property
    def version(self) -> str:
        """Name and version, stored with every outcome: `exact/1`. What changes a score changes the version."""
        ...

    def score(self, control: Answer, treatment: Answer, expected: Expected | None) -> PairScore | None:
        """Score a pair; None if the metric does not apply to it (for example no reference is known)."""
        ...
