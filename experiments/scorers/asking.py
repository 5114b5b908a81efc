"""The seam of a scorer that asks another server: what to ask about a pair, and what the replies say. Pure.

Nothing here sends anything: `router.scoring` does, in the controller's process, with the limits of `Asking`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from experiments.scorers.base import Answer, PairScore, Scorer

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class Asking(NamedTuple):
    """Whom a scorer asks, and how much."""

    backend: str
    """Name of a backend of the configuration that speaks OpenAI's API."""
    sample_percent: float = 100.0
    """Of the pairs; the draw is by the pair's id and the metric's name."""
    max_calls_per_day: int = 5_000
    """Beyond it pairs wait for the next day (UTC)."""
    timeout_s: float = 60.0
    """Of one call."""
    retries: int = 2
    """Further attempts after a failed one."""
    may_be_compared: bool = False
    """Whether the backend may be one of the two that are compared."""


class Question(NamedTuple):
    """One request to the server."""

    path: str
    """Behind the backend's URL: `/v1/chat/completions`."""
    body: dict[str, Any]
    """Sent as JSON."""


class Asked(NamedTuple):
    """What the replies say."""

    score: PairScore
    detail: dict[str, Any]
    """Kept with the outcome: what the server said, in short."""


class Failed(NamedTuple):
    """Replies that give no score; after the last attempt this is the outcome."""

    reason: str
    """In a few words, and without any text of the pair."""


class AskingScorer(Protocol):
    """Turns a pair into questions, and their replies into scores. It keeps nothing between the two."""

    @property
    def version(self) -> str:
        """Name and version, as any scorer's. Whatever changes a score (a rubric, a model) changes it."""
        ...

    @property
    def asking(self) -> Asking:
        """Whom to ask, and how much."""
        ...

    def questions(self, pair: str, control: Answer, treatment: Answer) -> Sequence[Question]:
        """Return what to ask, in order; nothing if the answers themselves tell."""
        ...

    def read(self, pair: str, control: Answer, treatment: Answer, replies: Sequence[bytes]) -> Asked | Failed | None:
        """Score a pair by the bodies of the replies, one for each question; None if the metric does not apply."""
        ...


def asks(scorer: Scorer | AskingScorer) -> TypeIs[AskingScorer]:
    """Whether a scorer asks another server: it says so by an attribute `asking`."""
    return isinstance(getattr(scorer, "asking", None), Asking)


def drawn(percent: float, *key: str) -> bool:
    """Draw by a key: always the same for the same key, and `percent` of all keys are drawn.

    >>> drawn(100, "pair-1", "quality"), drawn(0, "pair-1", "quality")
    (True, False)
    """
    return int.from_bytes(sha256("\0".join(key).encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64 < percent / 100
