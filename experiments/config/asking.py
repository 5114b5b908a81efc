"""The records of scorers that ask another server: `judge = {...}` and `embeddings = {...}` of a metric."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from experiments.config.record import Count, Percent, Positive, Record


class Judge(Record):
    """`judge = { ... }` of a metric with `scorer = "judge"`: a model that says which of two answers is better."""

    backend: str
    """Name of an OpenAI-compatible backend; neither of the two that are compared, unless `allow_compared`."""
    model: str = ""
    """The `model` that is asked for; none unless given."""
    rubric: str = ""
    """What a better answer is, in your words; helpful, right and complete unless given."""
    ties: bool = True
    """Whether the judge may say that neither is better."""
    sample_percent: Percent = 100.0
    """Of the pairs; the draw is by the pair's id."""
    swap_percent: Percent = 20.0
    """Of the judged pairs: asked again with the answers in the other order. Two different verdicts are a tie, and
    how often that happens is the judge's position bias."""
    max_calls_per_day: Count = 5_000
    """Beyond it pairs wait for the next day (UTC)."""
    timeout_s: Positive = 60.0
    """Of one call."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further calls after a failed one; then the outcome is `judge_failed`."""
    allow_compared: bool = False
    """Allow a judge that is one of the compared models; models prefer their own answers."""


class Embeddings(Record):
    """`embeddings = { ... }` of a metric with `scorer = "similarity"`: who turns texts into vectors."""

    backend: str
    """Name of a backend with `/v1/embeddings`."""
    model: str = ""
    """The `model` that is asked for; none unless given."""
    sample_percent: Percent = 100.0
    """Of the pairs; the draw is by the pair's id."""
    max_calls_per_day: Count = 100_000
    """Beyond it pairs wait for the next day (UTC)."""
    timeout_s: Positive = 10.0
    """Of one call."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further calls after a failed one; then the outcome is `similarity_failed`."""
