"""Warnings of a plan: what will not be decided or seen, and what cannot be told. Data, and a sentence each. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from experiments.config.records import Experiment
from experiments.planning.metrics import MetricPlan, Question
from experiments.planning.spending import BY_TIME
from experiments.planning.traffic import Expectations, Flow
from experiments.planning.words import days, sentence, undecided
from experiments.scoring.operational import LATENCY

_LIKELY, _EVEN = 0.9, 0.5


class Code(StrEnum):
    """What is to be mended, or accepted, before the experiment starts."""

    CANNOT_TELL = "cannot_tell"
    """A figure is missing."""
    UNDECIDABLE = "undecidable"
    """Even if all is well, promotion would rather not be reached in time."""
    UNLIKELY = "unlikely"
    """In more than one of ten experiments, promotion would not be reached in time."""
    BLIND = "blind"
    """A harm as large as the margin would rather not be seen in time."""
    OUT_OF_REACH = "out_of_reach"
    """The expected gain is not larger than the goal."""
    TOO_FEW_UNITS = "too_few_units"
    """`min_units` are not reached in time."""
    UNUSED = "unused"
    """Something is given for a metric, a goal or a slice that the experiment does not have."""
    TOO_LONG = "too_long"
    """The policy's own minima take longer than its `max_days`."""


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning: data, and a sentence."""

    code: Code
    sentence: str
    metric: str = ""
    slice: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Days until a promotion that is deserved, and what they are spent on."""

    median_days: float
    """At least: all conditions must hold, and each has its own luck."""
    ninetieth_days: float
    waits_for: str


def row_cautions(rows: Sequence[MetricPlan], experiment: Experiment) -> Iterator[Caution]:
    """Warn of metrics that will rather not be decided in time; one goal that is likely reached is enough."""
    yield from _unknowns(rows)
    limit = experiment.policy.max_days
    one_goal_is_enough = any(row.question is Question.GOAL and (row.chance or 0.0) >= _LIKELY for row in rows)
    for row in rows:
        if row.question is Question.GOAL and one_goal_is_enough:
            continue
        found = _code_of(row)
        if found is not None:
            code, lead = found
            said = sentence(row, limit) if row.missing else undecided(row, limit, lead)
            yield Caution(code, said, row.metric, row.slice)


def _unknowns(rows: Sequence[MetricPlan]) -> Iterator[Caution]:
    """Warn once of each thing that is missing, however many figures it spoils."""
    spoiled = Counter(row.missing for row in rows if row.missing and row.chance is None)
    for missing, figures in spoiled.items():
        yield Caution(Code.CANNOT_TELL, f"cannot tell {figures} figure{'s' * (figures > 1)}: {missing}")


def _code_of(row: MetricPlan) -> tuple[Code, str] | None:
    if row.missing:
        return None if row.chance is None else (Code.OUT_OF_REACH, "")
    chance = row.chance or 0.0
    if row.question in {Question.HARM, Question.EVENTS}:
        return None if chance >= _EVEN else (Code.BLIND, "harm beyond what is accepted would rather not be seen")
    if chance < _EVEN:
        return Code.UNDECIDABLE, "even a treatment that deserves it would rather not be promoted"
    if chance < _LIKELY:
        return Code.UNLIKELY, "a treatment that deserves it may fail to be promoted"
    return None


def policy_cautions(experiment: Experiment, flow: Flow, promotion: Span | None) -> Iterator[Caution]:
    """Warn of a policy that its own time limit does not leave room for."""
    policy = experiment.policy
    units = flow.paired_units_per_day * policy.max_days
    if units < policy.min_units:
        yield Caution(
            Code.TOO_FEW_UNITS,
            f"only about {units:,.0f} units are analysed within {policy.max_days:g} days, a promotion needs "
            f"{policy.min_units:,} (min_units)",
        )
    if promotion is not None and promotion.median_days > policy.max_days:
        yield Caution(
            Code.TOO_LONG,
            f"a promotion needs {days(promotion.median_days)} at least, for {promotion.waits_for}, and the experiment "
            f"stops after {policy.max_days:g}",
        )


def unused_cautions(experiment: Experiment, expected: Expectations) -> Iterator[Caution]:
    """Warn of expectations for what the experiment does not have: mostly a name typed wrong."""
    goals: set[str] = {goal.name for goal in experiment.goals}
    if goals & BY_TIME:
        goals.add(LATENCY)
    known: dict[str, set[str]] = {
        "shares": {slice_.attribute for slice_ in experiment.slices},
        "discordance": {g.name for g in experiment.guardrails if g.margin is not None},
        "feedback_rates": {g.name for g in experiment.guardrails if g.feedback},
        "gains": goals,
        "spreads": goals,
    }
    for table, names in known.items():
        for name in getattr(expected, table):
            if name not in names:
                yield Caution(Code.UNUSED, f"{table}.{name} is given, but {experiment.name} has no use for it", name)
