"""The verdict in one sentence that one understands in ten seconds. Pure.

It says what the verdicts of the evidence say, and no more. A metric is "not worse" only where that is proven; what is
not decided is said first, since whoever reads three words must not take it for good news.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from experiments.config.records import Experiment
from experiments.evidence import Code, Decision, Evidence, Kind, MetricEvidence, Verdict
from experiments.explain import called, sentence, where
from experiments.model import Phase
from experiments.showing.numbers import change, level, limit, points, unit_word
from experiments.showing.standing import Standing

Tone = Literal["good", "bad", "waiting", "neutral"]
_MOST = 2
"""Metrics or groups that a sentence names; the table has the others."""
_LEADS = {
    Phase.PROMOTED: "Promoted",
    Phase.ROLLED_BACK: "Rolled back",
    Phase.STOPPED: "Stopped without a winner",
    Phase.PAUSED: "Paused",
}


class Saying(NamedTuple):
    """The verdict for people."""

    sentence: str
    tone: Tone


def verdict(standing: Standing) -> Saying:
    """Say how an experiment stands."""
    evidence, decision = standing.evidence, standing.decision
    if standing.phase is Phase.GATED:
        waits = standing.gate.waits_for if standing.gate is not None else []
        return Saying(f"Waits at its gate: {'; '.join(waits) or 'it has just begun'}.", "waiting")
    if standing.phase is Phase.DRAFT:
        return Saying("Not started: control serves everyone.", "neutral")
    if evidence is None or decision is None or not evidence.units:
        lead = _lead(standing)
        return Saying(
            f"{lead}: nothing has been compared yet." if lead else _nothing_yet(evidence), _idle_tone(standing)
        )
    said, tone = _found(standing, evidence, decision)
    return Saying(_joined(_lead(standing), said), _tone(standing.phase, tone))


def _joined(lead: str, said: str) -> str:
    if not lead:
        return f"{_capital(said)}."
    return f"{lead}: {said}." if lead in _LEADS.values() else f"{lead}. {_capital(said)}."


def _nothing_yet(evidence: Evidence | None) -> str:
    if evidence is not None and evidence.exchanges:
        return f"Cannot tell yet: {evidence.exchanges:,} requests were served, none is compared so far."
    return "Cannot tell yet: no request has come in so far."


def _lead(standing: Standing) -> str:
    """Say what has happened to the experiment, and who did it if it was not decided by the evidence."""
    if standing.phase not in _LEADS:
        return ""
    cause = standing.cause
    lead = _LEADS[standing.phase]
    if cause is None:
        return lead
    if cause.look is None:
        return f"{lead} by {cause.actor} ({cause.reason or 'no reason given'})"
    # Harm and proof are said by the evidence; anything else has happened then, and may not be so any more.
    evident = standing.phase in {Phase.PROMOTED, Phase.STOPPED}
    evident = evident or (standing.evidence is not None and bool(_harmed(standing.evidence)))
    return lead if evident else f"{lead} because {cause.reason.rstrip('.')}"


def _idle_tone(standing: Standing) -> Tone:
    return "waiting" if standing.phase is Phase.RUNNING else "neutral"


def _tone(phase: Phase, found: Tone) -> Tone:
    if found == "bad":
        return "bad"
    if phase is Phase.ROLLED_BACK:
        return "bad"
    return "neutral" if phase in {Phase.PAUSED, Phase.STOPPED} else found


# --- what the evidence says -------------------------------------------------------------------------------------------


def _found(standing: Standing, evidence: Evidence, decision: Decision) -> tuple[str, Tone]:
    experiment = standing.experiment
    harmed = _harmed(evidence)
    everywhere = [row for row in harmed if not row.slice]
    if everywhere:
        groups = [row for row in harmed if row.slice]
        also = f"; by group: {_listed([_group_harm(row) for row in groups])}" if groups else ""
        return f"{experiment.treatment} does harm: {_listed([_harm(row) for row in everywhere])}{also}", "bad"
    blocked = _blocked(evidence, decision)
    if blocked:
        also = f"; {_harmed_groups(harmed)}" if harmed else ""
        return f"cannot tell: {blocked}{also}", "bad"
    return _compared(standing, evidence, harmed)


def _compared(standing: Standing, evidence: Evidence, harmed: Sequence[MetricEvidence]) -> tuple[str, Tone]:
    """Say how the average does and which groups are harmed; harm comes first unless the average is in order."""
    said, tone = _average(standing, evidence)
    losses, unsafe = _losses(evidence), _unsafe_groups(standing.experiment, evidence)
    groups = _harmed_groups(harmed)
    if groups:
        in_order = tone == "good" and standing.phase in {Phase.RUNNING, Phase.PROMOTED}
        said = f"{said}; {groups}" if in_order else f"{groups}; {said}"
    said += _and_losses(losses)
    if tone == "good" and unsafe:
        said += f"; {_unsure(standing)} for {_listed(unsafe)}"
    if groups:
        return said, "bad"
    accepted = all(row.verdict is Verdict.NONINFERIOR for row in losses) and not unsafe
    return said, tone if accepted else "waiting"


def _unsure(standing: Standing) -> str:
    return "cannot tell yet" if standing.phase is Phase.RUNNING else "cannot tell"


def _average(standing: Standing, evidence: Evidence) -> tuple[str, Tone]:
    """Say what is proven and what is open over all traffic: `good` only if every margin is ruled out."""
    experiment, goals = standing.experiment, _after(_goals(evidence))
    judged = [row for row in _guardrails(evidence) if not row.slice]
    open_ = [row for row in judged if row.verdict is not Verdict.NONINFERIOR]
    safe = [row for row in judged if row.verdict is Verdict.NONINFERIOR]
    if not judged:
        unsure = f"{_unsure(standing)} whether {experiment.treatment} is as good"
        return f"{unsure}: no guardrail has a margin to rule out{goals}", "waiting"
    if open_:
        also = f"; {_not_worse(safe, experiment)}" if safe else ""
        still = _listed([_still_open(row, experiment) for row in open_])
        return f"{_unsure(standing)}: {experiment.treatment}'s {still}{also}{goals}", "waiting"
    subject = f"{experiment.treatment}: " if standing.phase is Phase.RUNNING else ""
    return f"{subject}{_not_worse(safe, experiment)}{goals}", "good"


def _harmed(evidence: Evidence) -> list[MetricEvidence]:
    """Return what is harmed, the worst first; events rest on the split, so an unsound one silences them."""
    unsound = any(split.alarm for split in evidence.splits)
    rows = [row for row in evidence.metrics if row.verdict is Verdict.HARM and not (unsound and row.kind is Kind.EVENT)]
    return sorted(rows, key=lambda row: row.estimate if row.estimate is not None else 0.0)


def _guardrails(evidence: Evidence) -> list[MetricEvidence]:
    """Return those that can be shown not to be worse."""
    return [row for row in evidence.metrics if row.role == "guardrail" and row.kind is Kind.PAIRED]


def _blocked(evidence: Evidence, decision: Decision) -> str:
    """Say why nothing can be concluded, whatever the metrics look like; empty if nothing is in the way."""
    codes = (
        Code.SPLIT_MISMATCH,
        Code.CONTROL_FAILING,
        Code.FAMILY_HARM,
        Code.FAILING,
        Code.EMPTY_ANSWERS,
        Code.LATE_HARM,
    )
    reasons = [reason for reason in decision.reasons if reason.code in codes]
    if reasons:
        return sentence(reasons[0])
    if any(split.alarm for split in evidence.splits):
        return "the units do not follow the configured split, so something loses or doubles requests"
    return ""


def _harm(row: MetricEvidence) -> str:
    if row.kind is Kind.EVENT:
        rise = f", {points(row.estimate)} higher" if row.estimate is not None and row.estimate > 0 else ""
        subject = called(row.metric) if row.metric == "errors" else f"the rate of bad feedback ({row.metric})"
        return f"{subject} is higher than tolerated{rise}"
    tolerated = f"{limit(row.tolerance)} tolerated" if row.tolerance else "none tolerated"
    return f"{called(row.metric)} is {_worse_by(row)} ({tolerated})"


def _worse_by(row: MetricEvidence) -> str:
    if row.estimate is None or row.estimate >= 0:
        return "proven worse than tolerated, though no more in the average of today"
    return f"{points(row.estimate)} worse"


def _group_harm(row: MetricEvidence) -> str:
    lost = points(row.estimate) if row.estimate is not None and row.estimate < 0 else "more than tolerated"
    return f"{where(row.slice)} {lost} ({called(row.metric)})"


def _harmed_groups(harmed: Sequence[MetricEvidence]) -> str:
    groups = [row for row in harmed if row.slice]
    if len(groups) == 1:
        name = where(groups[0].slice)
        return f"{name} is harmed: {_group_harm(groups[0]).removeprefix(f'{name} ')}"
    return f"harmed are {_listed([_group_harm(row) for row in groups])}" if groups else ""


def _losses(evidence: Evidence) -> list[MetricEvidence]:
    """Return where a loss is certain that is not proven to be more than tolerated, the largest first."""
    rows = [
        row
        for row in _guardrails(evidence)
        if row.verdict in {Verdict.NONINFERIOR, Verdict.INSUFFICIENT} and row.estimate is not None
        if row.interval is not None and row.interval.upper is not None and row.interval.upper < 0
    ]
    return sorted(rows, key=lambda row: row.estimate or 0.0)


def _and_losses(rows: Sequence[MetricEvidence]) -> str:
    if not rows:
        return ""
    shown = _listed([f"{where(row.slice)} {points(row.estimate or 0.0)} ({called(row.metric)})" for row in rows])
    return f"; some loss is certain (95 % each): {shown}"


def _not_worse(rows: Sequence[MetricEvidence], experiment: Experiment) -> str:
    """Say what is proven; every metric by its own margin, each at the full level."""
    clauses = [f"{called(row.metric)} is not worse by {limit(row.margin or 0.0)} or more" for row in rows]
    each = " each" if len(clauses) > 1 else ""
    return f"{' and '.join(clauses)} ({level(experiment.policy.alpha_promote)}{each})"


def _still_open(row: MetricEvidence, experiment: Experiment) -> str:
    if not row.units:
        return f"{called(row.metric)} has not been measured yet"
    if row.verdict is Verdict.NOT_ESTIMABLE:
        return f"{called(row.metric)} cannot be computed ({row.reason})"
    return (
        f"{called(row.metric)} may be worse by {limit(row.margin or 0.0)} or more "
        f"({row.units:,} {unit_word(experiment)} compared)"
    )


def _goals(evidence: Evidence) -> list[str]:
    return [_goal(row) for row in evidence.metrics if row.role == "goal" and not row.slice and row.estimate is not None]


def _goal(row: MetricEvidence) -> str:
    """Say a goal; its interval is asymptotic, and it says so, since the others need no such assumption."""
    estimate, asked = row.estimate or 0.0, row.margin or 0.0
    if row.verdict is not Verdict.SUPERIOR:
        return f"so far {change(row.metric, estimate)} (not proven)"
    if estimate > -asked or not estimate:
        return f"was proven {change(row.metric, -asked) if asked else 'better'}, now {change(row.metric, estimate)}"
    return f"{change(row.metric, estimate)} (asymptotic)"


def _after(goals: Sequence[str]) -> str:
    return "".join(f", {goal}" for goal in goals[:_MOST])


def _unsafe_groups(experiment: Experiment, evidence: Evidence) -> list[str]:
    """Return protected groups that are not shown safe yet; errors are watched for harm only in groups."""
    policy = experiment.policy
    quality = {guardrail.name for guardrail in experiment.guardrails if guardrail.scorer is not None}
    found = [
        where(row.slice)
        for row in _guardrails(evidence)
        if row.metric in quality and row.slice and row.slice.partition("=")[0] in policy.protected_slices
        if row.slice not in policy.waived_slices and row.verdict is not Verdict.NONINFERIOR
    ]
    return list(dict.fromkeys(found))


def _listed(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
    return ", ".join(parts[:_MOST]) + more


def _capital(text: str) -> str:
    """Begin a sentence; a name keeps its own way of being written."""
    return text[:1].upper() + text[1:] if text.startswith(("cannot", "harmed")) else text
