"""Builders of looks and standings: what the faces are computed from, without running anything."""

from __future__ import annotations

from typing import Any

import msgspec
from tests_builders import make_experiment

from experiments.config.records import Experiment
from experiments.evidence import (
    Action,
    Completeness,
    Decision,
    Elapsed,
    Evidence,
    Interval,
    Kind,
    MetricEvidence,
    Reason,
    SplitEvidence,
    Verdict,
)
from experiments.model import Phase, Route
from experiments.showing.standing import Standing
from experiments.stored import Epoch, Look, RouteState, Transition

BEGAN = 1_760_000_000.0
"""When every epoch here began, in seconds since the epoch (UTC)."""


def make_row(verdict: Verdict = Verdict.INSUFFICIENT, **changes: Any) -> MetricEvidence:
    """A paired guardrail over all traffic, with 400 pairs of which 8 more are lost than won."""
    values: dict[str, Any] = {
        "metric": "quality",
        "role": "guardrail",
        "kind": Kind.PAIRED,
        "verdict": verdict,
        "units": 400,
        "pairs": 400,
        "losses": 28,
        "wins": 20,
        "ties": 352,
        "control_mean": 0.8,
        "treatment_mean": 0.78,
        "estimate": -0.02,
        "interval": Interval(-0.05, 0.01),
        "margin": 0.02,
        "tolerance": 0.01,
        "weight": 0.5,
        "log_e_harm": 0.2,
        "peak_log_e_harm": 0.4,
        "log_e_noninferior": 0.1,
        "peak_log_e_noninferior": 0.3,
    }
    return MetricEvidence(**(values | changes))


def make_goal(verdict: Verdict = Verdict.SUPERIOR, **changes: Any) -> MetricEvidence:
    """A goal: about 31 % less cost."""
    values: dict[str, Any] = {
        "metric": "cost",
        "role": "goal",
        "kind": Kind.RATIO,
        "control_mean": 0.01,
        "treatment_mean": 0.0069,
        "estimate": -0.31,
        "interval": Interval(-0.34, -0.28),
        "margin": 0.2,
        "tolerance": None,
        "weight": 0.0,
    }
    bare = dict.fromkeys(("log_e_harm", "peak_log_e_harm", "log_e_noninferior", "peak_log_e_noninferior"))
    return make_row(verdict, **(bare | values | changes))


def make_evidence(*rows: MetricEvidence, **changes: Any) -> Evidence:
    """One look after half a day and 5,000 requests."""
    values: dict[str, Any] = {
        "experiment": "support",
        "epoch": 1,
        "look": 3,
        "at": BEGAN + 43_200,
        "stage": 0,
        "phase": Phase.RUNNING,
        "units": 400,
        "stage_units": 400,
        "exchanges": 5_000,
        "served_by_treatment": 2_500,
        "pairs": 400,
        "metrics": list(rows),
        "splits": [make_split()],
        "completeness": [Completeness(variant="treatment", complete=400, due=400)],
        "log_e_family": 0.0,
        "peak_log_e_family": 0.0,
        "elapsed": Elapsed(epoch_s=43_200.0, stage_s=43_200.0),
    }
    return Evidence(**(values | changes))


def make_split(*, alarm: bool = False) -> SplitEvidence:
    stages = [(5_000, 2_500, 2_500)]
    return SplitEvidence(name="assigned", stages=stages, log_bayes_factor=0.0, peak_log_bayes_factor=0.0, alarm=alarm)


def make_look(evidence: Evidence, *reasons: Reason, **changes: Any) -> Look:
    values: dict[str, Any] = {
        "experiment": "support",
        "epoch": 1,
        "number": evidence.look,
        "at": evidence.at,
        "stage": 0,
        "exchange_seq": 0,
        "outcome_seq": 0,
        "feedback_seq": 0,
        "evidence": evidence,
        "decision": Decision(action=Action.HOLD, reasons=list(reasons)),
        "state": {},
    }
    return Look(**(values | changes))


def make_transition(to: Phase = Phase.RUNNING, **changes: Any) -> Transition:
    values: dict[str, Any] = {
        "experiment": "support",
        "epoch": 1,
        "look": None,
        "at": BEGAN,
        "actor": "controller",
        "from_phase": Phase.GATED if to is Phase.RUNNING else Phase.RUNNING,
        "to_phase": to,
        "from_stage": 0,
        "to_stage": 0,
        "split_basis_points": 5_000,
        "reason": "nothing is missing",
    }
    return Transition(**(values | changes))


def make_epoch(experiment: Experiment, **changes: Any) -> Epoch:
    config = msgspec.json.decode(experiment.model_dump_json())
    values: dict[str, Any] = {"experiment": "support", "number": 1, "config_hash": "x", "started_at": BEGAN}
    return Epoch(config=config, **(values | changes))


def make_standing(*rows: MetricEvidence, phase: Phase = Phase.RUNNING, **changes: Any) -> Standing:
    """An experiment with one look that holds these rows; none without rows."""
    experiment = changes.pop("experiment", None) or make_experiment()
    route = Route(experiment="support", epoch=1, phase=phase, split_basis_points=5_000, mirror_basis_points=10_000)
    values: dict[str, Any] = {
        "experiment": experiment,
        "state": RouteState(route=route, epoch_started_at=BEGAN, stage_started_at=BEGAN),
        "epoch": make_epoch(experiment),
        "look": make_look(make_evidence(*rows)) if rows else None,
        "transitions": (make_transition(),),
        "golden": None,
        "gate": None,
    }
    return Standing(**(values | changes))
