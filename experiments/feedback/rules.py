"""What feedback an experiment takes: which metrics, which values, from when. Pure; the same by HTTP and from a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.scorers.catalogue import needs_reference

MAX_NUMBER = 1e9
"""Numbers beyond are nobody's rating: sums of them would lose all others in the rounding."""
MAX_LABEL_CHARACTERS = 16_384
MAX_NAME_CHARACTERS = 200
"""Of a metric or a source: names of exchanges that are not known yet are stored unseen."""
FUTURE_S = 300.0
"""How far ahead of ours a sender's clock may be."""
OLDEST_S = 400 * 86_400.0
"""Feedback that is older belongs to no experiment that still runs: its time is most likely in another unit."""
SECONDS_AS_MILLISECONDS = 1e11
"""A time beyond is in milliseconds: in seconds it would be the year 5138."""

Value = bool | float | str


class Refusal(NamedTuple):
    """Why something is not taken."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The metrics of one experiment that take feedback."""

    experiment: str
    numbers: frozenset[str]
    """Take a number, true or false."""
    labels: frozenset[str]
    """Take a text: the right answer to the prompt, which their scorer compares both answers with."""

    def refusal(self, metric: str, value: Value) -> Refusal | None:
        """Say why a value is not taken for a metric; None if it is."""
        if metric in self.labels:
            if isinstance(value, str):
                return label_refusal(value)
            return Refusal("value", f"the value for {metric!r} must be a text: the right answer")
        if metric not in self.numbers:
            known = ", ".join(sorted(self.numbers | self.labels)) or "none"
            detail = f"{metric!r} takes no feedback in {self.experiment}; metrics that do: {known}"
            return Refusal("metric", detail)
        if isinstance(value, str):
            return Refusal("value", "the value must be a number, true or false")
        return number_refusal(value)


def taken_by(experiment: Experiment) -> Taken:
    """Return which metrics of an experiment take feedback.

    Raises:
        ScorerError: A scorer of another package cannot be loaded.
    """
    metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
    numbers = frozenset(metric.name for metric in metrics if metric.feedback)
    labels = frozenset(metric.name for metric in metrics if metric.scorer and needs_reference(metric.scorer))
    return Taken(experiment.name, numbers, labels)


def value_refusal(value: Value) -> Refusal | None:
    """Say why a value is taken for no metric whatever; None if it may be for one."""
    return label_refusal(value) if isinstance(value, str) else number_refusal(value)


def number_refusal(value: float) -> Refusal | None:
    """Say why a number is not taken; None if it is.

    >>> number_refusal(0.25) is None, number_refusal(float("nan")).detail
    (True, 'the value must be a number from -1e9 to 1e9')
    """
    if math.isfinite(value) and abs(value) <= MAX_NUMBER:
        return None
    return Refusal("value", "the value must be a number from -1e9 to 1e9")


def label_refusal(text: str) -> Refusal | None:
    """Say why a text is not taken as a right answer; None if it is."""
    if not text.strip():
        return Refusal("value", "the right answer must not be empty")
    if len(text) > MAX_LABEL_CHARACTERS:
        return Refusal("value", f"the right answer is longer than {MAX_LABEL_CHARACTERS} characters")
    return None


def name_refusal(field: str, name: str) -> Refusal | None:
    """Say why a name is not taken; None if it is.

    Args:
        field: What it names: `metric`, `source`.
        name: As it was sent.
    """
    if len(name) <= MAX_NAME_CHARACTERS:
        return None
    return Refusal(field, f"the {field} is longer than {MAX_NAME_CHARACTERS} characters")


def time_refusal(at: float, now: float) -> Refusal | None:
    """Say why the time of feedback cannot be right; None if it can.

    Args:
        at: When it was given, in seconds since the epoch (UTC).
        now: Wall-clock time in the same unit.
    """
    if math.isfinite(at) and now - OLDEST_S <= at <= now + FUTURE_S:
        return None
    if at > SECONDS_AS_MILLISECONDS:
        return Refusal("at", "the time must be in seconds since 1970 (UTC); this one looks like milliseconds")
    if at > now:
        return Refusal("at", "the time lies more than 5 minutes in the future")
    return Refusal("at", "the time lies more than 400 days in the past")
