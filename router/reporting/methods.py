"""How the figures were found and what they assume, in plain words: of this experiment, not of all there might be. Pure.

Each entry says whether it holds at every look, only for large numbers, or describes without any promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from experiments.config.records import Experiment
from experiments.evidence import Evidence, Kind
from experiments.explain import called
from experiments.showing.numbers import level, limit, unit_word
from experiments.showing.standing import Standing

ALWAYS = "at every look"
ASYMPTOTIC = "at every look, for large numbers only (asymptotic)"
DESCRIPTIVE = "nothing is promised: it describes"
SIMULATED = (
    "No figure in this report is simulated: all come from requests and answers that were stored. Whether the users "
    "behind them were people, a replay or a load test, Touchstone cannot know. That the methods keep their promised "
    "error rates was shown by simulation, with other data; the documentation has that study (calibration)."
)
"""What was simulated."""
LIMITS = (
    "It judges by what can be measured: golden answers, agreement, feedback, a judge. If wrong answers look right to "
    "the measure, they look right here. An estimate at the moment of a decision leans towards the line that decided; "
    "quote the interval."
)
"""What it cannot know."""


class Method(NamedTuple):
    """One statistic."""

    subject: str
    how: str
    holds: str
    assumes: str


def methods(standing: Standing, golden_runs: int) -> list[Method]:
    """Return what was used in this experiment.

    Args:
        standing: Of the experiment.
        golden_runs: How many golden runs the report shows.
    """
    return [*_of_metrics(standing), *_of_checks(standing), *_of_descriptions(standing, golden_runs)]


def _of_metrics(standing: Standing) -> Iterator[Method]:
    experiment, evidence = standing.experiment, standing.evidence
    named = _named(experiment, evidence, Kind.PAIRED)
    if named:
        yield _paired(experiment, named)
    events = _named(experiment, evidence, Kind.EVENT)
    if events:
        yield Method(
            f"Bad events of live users: {events}",
            "Each first bad event of a unit is a coin that falls as the unit was assigned; only the probability with "
            "which it was assigned enters, so the split may move and so may the share of bad events.",
            ALWAYS,
            "Units are independent. Users who were told which variant they had would report otherwise.",
        )
    ratios = _named(experiment, evidence, Kind.RATIO)
    if ratios:
        yield Method(
            f"Ratios on pairs: {ratios}",
            "Confidence sequence of the logarithm of treatment by control, a unit each: the change of the typical "
            "unit.",
            ASYMPTOTIC,
            "At least 100 units; before that there is no interval. Never used for rare events.",
        )
    yield _alpha(standing)
    if experiment.slices:
        yield _slices(experiment)
    if _judged(experiment):
        yield Method(
            "Judged answers",
            "Another model says which of two answers is better; a part is asked again in the other order.",
            ALWAYS,
            "The judge's taste is that of your users. What the statistics prove, they prove of the judge's verdicts.",
        )


def _paired(experiment: Experiment, named: str) -> Method:
    policy = experiment.policy
    return Method(
        f"Quality on pairs: {named}",
        "The same request is answered by both variants and both answers are scored. The observation is the mean "
        f"difference over the first {policy.unit_cap} pairs of one of the {unit_word(experiment)}. A bet against "
        "'the loss is within the tolerance' and one against 'the loss is the margin or more' grow with the evidence "
        "(e-processes); an interval is where no such bet has won.",
        ALWAYS,
        "Units are independent. The interval also assumes a mean that does not move: if it moves so far that nothing "
        "fits, the report says that assumptions are violated. Conversations are those that the live model led.",
    )


def _alpha(standing: Standing) -> Method:
    policy = standing.experiment.policy
    attempt = standing.epoch.attempt if standing.epoch is not None else 1
    goals = len(standing.experiment.goals)
    shared = f", divided by the {goals} goals where a goal is concerned" if goals > 1 else ""
    return Method(
        "How often a decision may be wrong (alpha ledger)",
        f"At most {100 * policy.alpha_rollback:.4g} % of harmless experiments are taken back: that share is divided "
        "among all guardrails and slices before any data. A treatment that loses the margin or more is promoted with "
        f"a chance of {100 * policy.alpha_promote:.4g} % at most{shared}; all conditions must hold together. This is "
        f"attempt {attempt} of its build: the j-th attempt has 6 / (pi² j²) of the level, so that trying again is no "
        "way to be promoted by luck. A look costs nothing, however many are taken.",
        ALWAYS,
        "Margins, tolerances and levels were fixed before the data: any change starts a new epoch without evidence.",
    )


def _slices(experiment: Experiment) -> Method:
    policy = experiment.policy
    protected = f"Protected, so shown safe before a promotion: {', '.join(policy.protected_slices) or 'none'}."
    waived = f" Waived: {', '.join(policy.waived_slices)}." if policy.waived_slices else ""
    return Method(
        f"Slices: {', '.join(found.attribute for found in experiment.slices)}",
        f"Every value is watched for harm with its part of the level. {protected}{waived}",
        ALWAYS,
        "A slice with few units can be neither harmed nor safe: it is 'cannot tell', never green.",
    )


def _judged(experiment: Experiment) -> bool:
    judges = [guardrail.judge for guardrail in experiment.guardrails]
    judges += [monitor.judge for monitor in experiment.monitors]
    return any(judge is not None for judge in judges)


def _of_checks(standing: Standing) -> Iterator[Method]:
    policy = standing.experiment.policy
    yield Method(
        "Do users arrive as configured (sample ratio mismatch)?",
        f"A sequential test of the counts of each stage; it is wrong with a chance of {100 * policy.alpha_srm:.4g} %.",
        ALWAYS,
        "It is slow on purpose: a small loss of records shows only after many units.",
    )
    yield Method(
        "Is anything missing?",
        f"Mirrored requests that came to an end, of those due; {100 * policy.min_completeness:g} % for a promotion.",
        "exact counts",
        "What is missing is not missing by chance, so it is never filled in.",
    )
    if policy.holdback_percent:
        yield Method(
            "Harm that begins after the promotion",
            f"{policy.holdback_percent:g} % stay with control; an e-detector watches each guardrail with a margin, "
            f"with one false alarm in {policy.late_alarm_units:,.0f} units on average.",
            ALWAYS,
            "Units are independent.",
        )


def _of_descriptions(standing: Standing, golden_runs: int) -> Iterator[Method]:
    yield Method(
        "What it saves",
        "The change of the typical unit, times control's mean per answer, times the requests of a day at the rate "
        "seen. Where the means of the pairs say otherwise, they are shown without an interval.",
        ASYMPTOTIC,
        "Prices are the configured ones. Carbon is estimated from configured power, not measured. The rate goes on.",
    )
    yield Method(
        "Latency and speed as distributions; quality day by day",
        "Counts in buckets of 2 %, so each value is within 1 %; means of the pairs of a day (UTC).",
        DESCRIPTIVE,
        "Days and distributions differ by chance; no decision rests on them.",
    )
    if golden_runs:
        gate = standing.experiment.gate
        yield Method(
            "Golden runs",
            "Both variants answer the same questions with known answers; passed if a loss of "
            f"{limit(gate.margin)} is ruled out. An equally good treatment fails with a chance of "
            f"{100 * gate.alpha:.4g} % at most, over all runs of its build.",
            "over all runs of a build together",
            "The questions are like those of your users.",
        )


def _named(experiment: Experiment, evidence: Evidence | None, kind: Kind) -> str:
    """List the metrics of a kind that have data, with their margins."""
    if evidence is None:
        return ""
    margins = {guardrail.name: guardrail.margin for guardrail in experiment.guardrails}
    rows = [row for row in evidence.metrics if row.kind is kind and not row.slice and row.units]
    return ", ".join(
        f"{called(row.metric)} (margin {limit(margins[row.metric] or 0.0)}, {level(experiment.policy.alpha_promote)})"
        if kind is Kind.PAIRED and row.role == "guardrail" and margins.get(row.metric)
        else called(row.metric)
        for row in rows
    )
