"""Evidence + policy -> what should happen, with reasons. Pure, and the whole of it: nothing else decides.

Three thresholds, never one. **Hold**: some loss is proven, so the ramp stops. **Roll back**: a loss beyond the
tolerance is proven, in any guardrail and any slice. **Promote**: for every guardrail a loss of the margin or more is
ruled out, a goal is reached, every protected slice is safe, and the data are sound.

Order of precedence: harm on pairs > hard trips > unsound split > harm of events > time is up > promotion > next stage >
hold. Harm on pairs comes before an unsound split because a pair is the same request with both variants: it does not
rest on the split. Harm of unpaired events does, so an unsound split silences it. A hard trip waits for no statistics:
half of the last minute's requests failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from experiments.config.records import Experiment
from experiments.evidence import (
    Action,
    Code,
    Decision,
    Evidence,
    Kind,
    Late,
    MetricEvidence,
    Reason,
    Recent,
    Verdict,
)
from experiments.lifecycle import is_last_stage
from experiments.model import CONTROL, Phase

_SECONDS_PER_DAY = 86_400


class Progress(NamedTuple):
    """Where the experiment stands in time."""

    stage: int
    epoch_seconds: float
    """Since the epoch began."""
    stage_seconds: float
    """Since the stage began."""


def decide(evidence: Evidence, experiment: Experiment, progress: Progress) -> Decision:
    """Return what should happen to an experiment; after a rollback nothing more, only what is known of the damage."""
    if evidence.phase is Phase.PROMOTED:
        return _after_promotion(evidence, experiment)
    if evidence.phase is not Phase.RUNNING:
        return Decision(action=Action.HOLD, reasons=_harm(evidence, experiment, events=True))
    at_once = _at_once(evidence, experiment)
    if at_once is not None:
        return at_once
    if progress.epoch_seconds > experiment.policy.max_days * _SECONDS_PER_DAY:
        return Decision(action=Action.STOP_UNDECIDABLE, reasons=_out_of_time(evidence, experiment, progress))
    losses = _any_loss(evidence, experiment)
    if is_last_stage(experiment, progress.stage):
        return _promotion(evidence, experiment, progress, losses)
    return _advance(evidence, experiment, progress, losses)


def _after_promotion(evidence: Evidence, experiment: Experiment) -> Decision:
    """Watch what was promoted: harm that begins now, or a treatment that breaks, takes the promotion back.

    As before a promotion, harm of unpaired events rests on the split, and an unsound one silences it.
    """
    unsound = _split_alarms(evidence)
    late = [late for late in evidence.late if late.peak >= late.threshold]
    sound = [late for late in late if late.kind is Kind.PAIRED or not unsound]
    reasons = [_late_harm(late) for late in sound] or tripped(evidence.recent, experiment)
    if reasons:
        return Decision(action=Action.ROLLBACK, reasons=reasons)
    return Decision(action=Action.HOLD, reasons=unsound if late else [])


def _late_harm(late: Late) -> Reason:
    return Reason(
        code=Code.LATE_HARM,
        metric=late.metric,
        value=late.peak,
        threshold=late.threshold,
        units=late.units,
        kind=late.kind if late.kind is Kind.EVENT else None,
    )


def _at_once(evidence: Evidence, experiment: Experiment) -> Decision | None:
    """Return what waits for no time and no number of units: harm, hard trips, an unsound split."""
    unsound = _split_alarms(evidence)
    harm = _harm(evidence, experiment, events=not unsound)
    held = _held_slices(harm, experiment)
    if harm and not held:
        return Decision(action=Action.ROLLBACK, reasons=harm)
    trips = tripped(evidence.recent, experiment)
    if trips:
        action = Action.PAUSE if experiment.trips.action == "pause" else Action.ROLLBACK
        return Decision(action=action, reasons=trips)
    if held or unsound:
        return Decision(action=Action.HOLD, reasons=held or unsound)
    return None


def _threshold(alpha: float) -> float:
    """Ville's inequality: an e-value of 1/alpha is reached with probability alpha at most under the null."""
    return math.log(1 / alpha)


def _split_alarms(evidence: Evidence) -> list[Reason]:
    return [
        Reason(code=Code.SPLIT_MISMATCH, metric=split.name, value=split.peak_log_bayes_factor)
        for split in evidence.splits
        if split.alarm
    ]


def _harm(evidence: Evidence, experiment: Experiment, *, events: bool) -> list[Reason]:
    threshold = _threshold(experiment.policy.alpha_rollback)
    rows = [row for row in evidence.metrics if row.verdict is Verdict.HARM and (events or row.kind is not Kind.EVENT)]
    if rows:
        return [_reason(Code.HARM, row, row.peak_log_e_harm, threshold - math.log(row.weight)) for row in rows]
    if events and evidence.peak_log_e_family >= threshold:
        worst = max(
            (row for row in evidence.metrics if row.log_e_harm is not None and row.weight > 0),
            key=lambda row: math.log(row.weight) + (row.log_e_harm or 0.0),
        )
        return [_reason(Code.FAMILY_HARM, worst, evidence.peak_log_e_family, threshold)]
    return []


def _held_slices(harm: list[Reason], experiment: Experiment) -> list[Reason]:
    """Return the harm as a reason to hold, if the policy says so and none of it is beyond single slices."""
    if experiment.policy.on_slice_harm == "rollback" or any(not r.slice or r.code is not Code.HARM for r in harm):
        return []
    return [msgspec.structs.replace(reason, code=Code.SLICE_HARM) for reason in harm]


def tripped(recent: Sequence[Recent], experiment: Experiment) -> list[Reason]:
    """Return the hard trips: the treatment is plainly broken right now, and control is not."""
    trips = experiment.trips
    if trips.action == "off" or len(recent) != 2:
        return []
    control, treatment = recent
    if treatment.requests < trips.min_requests:
        return []
    reasons = []
    for code, bad, bad_of_control, limit in (
        (Code.FAILING, treatment.failed, control.failed, trips.failed_percent),
        (Code.EMPTY_ANSWERS, treatment.empty, control.empty, trips.empty_percent),
    ):
        share, of_control = bad / treatment.requests, bad_of_control / max(1, control.requests)
        # Where control fails as well, the treatment is not what is broken.
        if 100 * share >= limit and 2 * of_control < share:
            reasons.append(Reason(code=code, value=share, threshold=limit / 100, units=treatment.requests))
    return reasons


def _control_failing(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    """While control is down there is nothing to compare with, so nothing may rise."""
    trips = experiment.trips
    for recent in evidence.recent:
        enough = recent.requests >= trips.min_requests
        if recent.variant == CONTROL and enough and 100 * recent.failed >= trips.failed_percent * recent.requests:
            share = recent.failed / recent.requests
            return [Reason(code=Code.CONTROL_FAILING, value=share, threshold=trips.failed_percent / 100)]
    return []


def _any_loss(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    threshold = _threshold(experiment.policy.alpha_rollback)
    return [
        _reason(Code.ANY_LOSS, row, row.log_e_any_loss, threshold - math.log(row.weight))
        for row in evidence.metrics
        if row.role == "guardrail" and row.log_e_any_loss is not None and row.weight > 0
        if row.log_e_any_loss + math.log(row.weight) >= threshold
    ]


def _promotion(evidence: Evidence, experiment: Experiment, progress: Progress, losses: list[Reason]) -> Decision:
    """Intersection-union: each condition at its own full alpha; all must hold, so no correction is due."""
    proven = [*_noninferior(evidence, experiment), *_goals(evidence, experiment)]
    missing = [
        *_shed(evidence),
        *_control_failing(evidence, experiment),
        *_not_yet_noninferior(evidence, experiment),
        *_no_goal(evidence, experiment),
        *_unsafe_slices(evidence, experiment),
        *_incomplete(evidence, experiment),
        *_badly_scored(evidence, experiment),
        *_too_small(evidence.units, experiment.policy.min_units),
        *_too_early(progress.epoch_seconds, experiment.policy.min_days * _SECONDS_PER_DAY),
    ]
    if missing:
        return Decision(action=Action.HOLD, reasons=[*missing, *losses])
    return Decision(action=Action.PROMOTE, reasons=proven)


def _advance(evidence: Evidence, experiment: Experiment, progress: Progress, losses: list[Reason]) -> Decision:
    policy = experiment.policy
    missing = [
        *_shed(evidence),
        *_control_failing(evidence, experiment),
        *losses,
        *_too_small(evidence.stage_units, policy.stage_min_units),
        *_too_early(progress.stage_seconds, policy.stage_min_minutes * 60),
    ]
    if missing:
        return Decision(action=Action.HOLD, reasons=missing)
    done = Reason(code=Code.STAGE_DONE, units=evidence.stage_units, threshold=float(policy.stage_min_units))
    return Decision(action=Action.ADVANCE, reasons=[done])


def _guardrails(evidence: Evidence, slice_: str = "") -> list[MetricEvidence]:
    """Guardrails with a margin, that is those of which non-inferiority can be shown."""
    return [
        row for row in evidence.metrics if row.role == "guardrail" and row.slice == slice_ and row.kind is Kind.PAIRED
    ]


def _is_safe(row: MetricEvidence, threshold: float) -> bool:
    return row.peak_log_e_noninferior is not None and row.peak_log_e_noninferior >= threshold


def _noninferior(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    threshold = _threshold(experiment.policy.alpha_promote)
    return [
        _reason(Code.NONINFERIOR, row, row.peak_log_e_noninferior, threshold)
        for row in _guardrails(evidence)
        if _is_safe(row, threshold)
    ]


def _not_yet_noninferior(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    threshold = _threshold(experiment.policy.alpha_promote)
    rows = _guardrails(evidence)
    return [
        _reason(
            Code.ASSUMPTIONS_VIOLATED
            if row.verdict is Verdict.NOT_ESTIMABLE and row.units
            else Code.NOT_YET_NONINFERIOR,
            row,
            row.peak_log_e_noninferior,
            threshold,
        )
        for row in rows
        if not _is_safe(row, threshold) or (row.verdict is Verdict.NOT_ESTIMABLE and row.units)
    ]


def _goals(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    level = _goal_level(experiment)
    goals = [row for row in evidence.metrics if row.role == "goal" and row.slice == ""]
    return [
        _reason(Code.GOAL_REACHED, row, row.p_value, level)
        for row in goals
        if row.p_value is not None and row.p_value <= level
    ]


def _goal_level(experiment: Experiment) -> float:
    """One of the goals suffices. For "at least one", Holm's first step is the whole of it: the best p at alpha/m."""
    return experiment.policy.alpha_promote / max(1, len(experiment.goals))


def _no_goal(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    if not experiment.goals or _goals(evidence, experiment):
        return []
    rows = [row for row in evidence.metrics if row.role == "goal" and row.slice == ""]
    return [_reason(Code.GOAL_NOT_REACHED, row, row.p_value, _goal_level(experiment)) for row in rows] or [
        Reason(code=Code.GOAL_NOT_REACHED, metric=goal.name) for goal in experiment.goals
    ]


def _unsafe_slices(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    """Protected slices must be shown safe in every quality metric; `errors` is watched for harm in slices only."""
    protected, waived = experiment.policy.protected_slices, experiment.policy.waived_slices
    quality = {guardrail.name for guardrail in experiment.guardrails if guardrail.scorer is not None}
    threshold = _threshold(experiment.policy.alpha_promote)
    return [
        _reason(Code.SLICE_NOT_SAFE, row, row.peak_log_e_noninferior, threshold)
        for row in evidence.metrics
        if row.metric in quality and row.slice and row.slice.partition("=")[0] in protected
        if row.slice not in waived
        if not _is_safe(row, threshold)
    ]


def _incomplete(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    needed = experiment.policy.min_completeness
    return [
        Reason(code=Code.INCOMPLETE, metric=c.variant, value=c.share, threshold=needed, units=c.due)
        for c in evidence.completeness
        if c.share < needed
    ]


def _badly_scored(evidence: Evidence, experiment: Experiment) -> list[Reason]:
    """What a scorer could not judge is not missing at random: the longest answers time out first."""
    needed = experiment.policy.min_completeness
    found = []
    for row in _guardrails(evidence):
        due = row.pairs + row.failed
        if row.failed > (1 - needed) * due:
            scored = Reason(
                code=Code.SCORING_INCOMPLETE, metric=row.metric, value=row.pairs / due, threshold=needed, units=due
            )
            found.append(scored)
    return found


def _shed(evidence: Evidence) -> list[Reason]:
    """What was lost is not lost at random: the busiest minutes are missing. Harm that shows all the same is harm."""
    shed = evidence.shed
    if not (shed.now or shed.records or shed.texts):
        return []
    return [Reason(code=Code.RECORDING_SHED, value=float(shed.texts), units=shed.records)]


def _too_small(units: int, needed: int) -> list[Reason]:
    if units >= needed:
        return []
    return [Reason(code=Code.TOO_FEW_UNITS, units=units, threshold=float(needed))]


def _too_early(seconds: float, needed: float) -> list[Reason]:
    if seconds >= needed:
        return []
    return [Reason(code=Code.TOO_EARLY, value=seconds, threshold=needed)]


def _out_of_time(evidence: Evidence, experiment: Experiment, progress: Progress) -> list[Reason]:
    limit = experiment.policy.max_days * _SECONDS_PER_DAY
    reasons = [Reason(code=Code.TIME_IS_UP, value=progress.epoch_seconds, threshold=limit, units=evidence.units)]
    return [*reasons, *_not_yet_noninferior(evidence, experiment), *_no_goal(evidence, experiment)]


def _reason(code: Code, row: MetricEvidence, value: float | None, threshold: float) -> Reason:
    interval = row.interval
    return Reason(
        code=code,
        metric=row.metric,
        slice=row.slice,
        value=value,
        threshold=threshold,
        estimate=row.estimate,
        lower=interval.lower if interval else None,
        upper=interval.upper if interval else None,
        margin=row.tolerance if code in {Code.HARM, Code.FAMILY_HARM} else row.margin,
        units=row.units,
    )
