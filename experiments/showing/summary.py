"""An experiment as all faces show it: computed once, in words and figures. Pure."""

from __future__ import annotations

import msgspec

from experiments.evidence import Action
from experiments.explain import action_word, sentence
from experiments.model import ENDED, Phase
from experiments.remarks import cautions, response_lines
from experiments.showing.badges import Badge, badges
from experiments.showing.changes import what_would_change
from experiments.showing.ledger import SavingsLedger, ledger
from experiments.showing.metric_rows import MetricRow, PairedTable, metric_rows, paired_tables, slice_rows
from experiments.showing.savings import Saving, savings
from experiments.showing.standing import Standing
from experiments.showing.waiting import Wait, time_to_decision
from experiments.showing.words import Tone, verdict

_PHASES = {
    Phase.DRAFT: "Not started: control serves everyone.",
    Phase.GATED: "Waits at its gate: control serves everyone.",
    Phase.RUNNING: "Running: the treatment serves {split} of the users.",
    Phase.PAUSED: "Paused: control serves everyone until somebody resumes it.",
    Phase.PROMOTED: "Promoted: the treatment serves {split} of the users.",
    Phase.ROLLED_BACK: "Rolled back: control serves everyone.",
    Phase.STOPPED: "Stopped without a winner: control serves everyone.",
}


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a page, a terminal and a report say of one experiment."""

    name: str
    owner: str
    hypothesis: str
    treatment: str
    control: str
    cohort: str
    """`one of 3 treatments of NAME`, or empty if it is the only one."""
    phase: Phase
    phase_text: str
    epoch: int
    """0 before the first."""
    attempt: int
    stage: int
    """Counted from 1."""
    stages: int
    split_percent: float
    mirror_percent: float
    since: float | None
    """When the present phase or stage began: wall-clock time in seconds since the epoch (UTC)."""
    look: int | None
    """Number of the newest look."""
    looked_at: float | None
    """When it was taken: wall-clock time in seconds since the epoch (UTC)."""
    verdict: str
    """In one sentence."""
    tone: Tone
    decision: str
    """What the newest look did, in words; empty before the first."""
    reasons: list[str]
    """Why."""
    changes: list[str]
    """What would change the decision."""
    wait: Wait
    savings: list[Saving]
    ledger: SavingsLedger
    """What was used and what each cost lever saved."""
    badges: list[Badge]
    remarks: list[str]
    """What a reader has to know beside the figures, though it decides nothing."""
    responses: list[str]
    """For each feedback metric, how many users of each variant gave any."""
    requests: int
    """Live requests of the epoch."""
    pairs: int
    units: int
    metrics: list[MetricRow]
    slices: list[MetricRow]
    paired: list[PairedTable]


def summarise(standing: Standing) -> ExperimentSummary:
    """Say everything that is known of how an experiment stands."""
    experiment, evidence, look = standing.experiment, standing.evidence, standing.look
    route = standing.state.route if standing.state is not None else None
    split = route.split_basis_points / 100 if route is not None else 0.0
    said = verdict(standing)
    return ExperimentSummary(
        name=experiment.name,
        owner=experiment.owner,
        hypothesis=experiment.hypothesis,
        treatment=experiment.treatment,
        control=experiment.control,
        cohort=_cohort(standing),
        phase=standing.phase,
        phase_text=_PHASES[standing.phase].format(split=f"{split:g} %"),
        epoch=route.epoch if route is not None else 0,
        attempt=standing.epoch.attempt if standing.epoch is not None else 1,
        stage=route.stage + 1 if route is not None else 1,
        stages=len(experiment.ramp),
        split_percent=split,
        mirror_percent=route.mirror_basis_points / 100 if route is not None else 0.0,
        since=standing.state.stage_started_at if standing.state is not None else None,
        look=look.number if look is not None else None,
        looked_at=look.at if look is not None else None,
        verdict=said.sentence,
        tone=said.tone,
        decision=_decision(standing),
        reasons=[sentence(reason) for reason in look.decision.reasons] if look is not None else [],
        changes=what_would_change(standing),
        wait=time_to_decision(standing),
        savings=savings(standing),
        ledger=ledger(standing),
        badges=badges(standing),
        remarks=cautions(evidence) if evidence is not None else [],
        responses=response_lines(evidence) if evidence is not None else [],
        requests=evidence.exchanges if evidence is not None else 0,
        pairs=evidence.pairs if evidence is not None else 0,
        units=evidence.units if evidence is not None else 0,
        metrics=metric_rows(experiment, evidence) if evidence is not None else [],
        slices=slice_rows(experiment, evidence) if evidence is not None else [],
        paired=paired_tables(evidence) if evidence is not None else [],
    )


def _cohort(standing: Standing) -> str:
    cohort = standing.experiment.cohort
    return f"one of {cohort.count} treatments of {cohort.group}" if cohort is not None else ""


def _decision(standing: Standing) -> str:
    decision = standing.decision
    if decision is None:
        return ""
    if decision.action is Action.HOLD and standing.phase in ENDED:
        return "observed only"
    return action_word(decision.action)
