"""Every combination of evidence leads to the decision that docs/decisions.md promises."""

import math
from typing import Any

import pytest
from tests_builders import make_experiment

from experiments.config.guarding import Trips
from experiments.config.records import Goal, Guardrail, Policy
from experiments.decision import Progress, decide
from experiments.evidence import (
    Action,
    Code,
    Completeness,
    Evidence,
    Interval,
    Kind,
    Late,
    MetricEvidence,
    Recent,
    SplitEvidence,
    Verdict,
)
from experiments.model import Phase

DAY = 86_400.0
SURE = 20.0
LATER = Progress(stage=0, epoch_seconds=8 * DAY, stage_seconds=8 * DAY)


def metric(name: str = "quality", **changes: Any) -> MetricEvidence:
    values: dict[str, Any] = {
        "metric": name, "role": "guardrail", "kind": Kind.PAIRED, "verdict": Verdict.INSUFFICIENT, "units": 500,
        "estimate": -0.001, "interval": Interval(-0.01, 0.01), "margin": 0.02, "tolerance": 0.01, "weight": 0.5,
        "log_e_harm": -1.0, "peak_log_e_harm": 0.0, "log_e_any_loss": -1.0,
        "log_e_noninferior": SURE, "peak_log_e_noninferior": SURE,
    }  # fmt: skip
    return MetricEvidence(**(values | changes))


def cost(p_value: float = 0.0001) -> MetricEvidence:
    return metric("cost", role="goal", kind=Kind.RATIO, p_value=p_value, peak_log_e_noninferior=None, margin=0.3)


def evidence(*metrics: MetricEvidence, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "experiment": "support", "epoch": 1, "look": 1, "at": 0.0, "stage": 0, "phase": Phase.RUNNING, "units": 500,
        "stage_units": 500, "exchanges": 1000, "served_by_treatment": 500, "pairs": 1000,
        "metrics": list(metrics) or [metric(), metric("errors"), cost()], "splits": [],
        "completeness": [Completeness(variant="treatment", complete=990, due=1000)],
        "log_e_family": 0.0, "peak_log_e_family": 0.0,
    }  # fmt: skip
    return Evidence(**(values | changes))


def experiment(**changes: Any):
    return make_experiment(goals=(Goal(name="cost", better_by=0.3),), policy=Policy(min_units=200), **changes)


def decided(found: Evidence, progress: Progress = LATER, **changes: Any) -> tuple[Action, set[Code]]:
    decision = decide(found, experiment(**changes), progress)
    return decision.action, {reason.code for reason in decision.reasons}


def test_when_everything_holds_the_treatment_is_promoted_with_all_its_reasons() -> None:
    action, codes = decided(evidence())

    assert action is Action.PROMOTE
    assert codes == {Code.NONINFERIOR, Code.GOAL_REACHED}


def test_one_guardrail_that_is_not_shown_safe_holds_the_promotion() -> None:
    unsure = metric("errors", peak_log_e_noninferior=math.log(1 / 0.025) - 0.001)

    assert decided(evidence(metric(), unsure, cost())) == (Action.HOLD, {Code.NOT_YET_NONINFERIOR})


def test_no_goal_reached_holds_the_promotion() -> None:
    assert decided(evidence(metric(), metric("errors"), cost(0.0251))) == (Action.HOLD, {Code.GOAL_NOT_REACHED})


def test_too_few_units_and_too_few_days_hold_the_promotion_and_nothing_else() -> None:
    early = Progress(stage=0, epoch_seconds=6.9 * DAY, stage_seconds=6.9 * DAY)

    assert decided(evidence(units=199)) == (Action.HOLD, {Code.TOO_FEW_UNITS})
    assert decided(evidence(), early) == (Action.HOLD, {Code.TOO_EARLY})


def test_missing_mirrored_answers_hold_the_promotion() -> None:
    gaps = [Completeness(variant="treatment", complete=94, due=100)]

    assert decided(evidence(completeness=gaps)) == (Action.HOLD, {Code.INCOMPLETE})


def test_a_guardrail_whose_scorer_fails_too_often_holds_the_promotion_and_a_monitor_does_not() -> None:
    failing = metric(pairs=94, failed=6)
    enough = metric(pairs=95, failed=5)
    shown = metric("tone", role="monitor", pairs=10, failed=90)

    decision = decide(evidence(failing, metric("errors"), cost()), experiment(), LATER)

    assert (decision.action, [reason.code for reason in decision.reasons]) == (Action.HOLD, [Code.SCORING_INCOMPLETE])
    assert [(r.metric, r.value, r.threshold, r.units) for r in decision.reasons] == [("quality", 0.94, 0.95, 100)]
    assert decided(evidence(enough, metric("errors"), cost(), shown))[0] is Action.PROMOTE


def test_a_protected_slice_that_is_not_shown_safe_holds_the_promotion() -> None:
    hindi = metric(slice="language=hi", peak_log_e_noninferior=0.5)
    protecting = experiment().model_copy(update={"policy": Policy(min_units=200, protected_slices=("language",))})

    decision = decide(evidence(metric(), metric("errors"), cost(), hindi), protecting, LATER)

    assert (decision.action, decision.reasons[0].code) == (Action.HOLD, Code.SLICE_NOT_SAFE)
    assert decided(evidence(metric(), metric("errors"), cost(), hindi))[0] is Action.PROMOTE


def test_harm_in_a_slice_rolls_back_at_once_however_good_the_average_is() -> None:
    hindi = metric(slice="language=hi", verdict=Verdict.HARM, peak_log_e_harm=9.0)
    first_minute = Progress(stage=0, epoch_seconds=60, stage_seconds=60)

    assert decided(evidence(metric(), hindi, cost()), first_minute) == (Action.ROLLBACK, {Code.HARM})


def test_harm_that_is_spread_over_many_metrics_rolls_back_too() -> None:
    assert decided(evidence(peak_log_e_family=math.log(20))) == (Action.ROLLBACK, {Code.FAMILY_HARM})
    assert decided(evidence(peak_log_e_family=math.log(20) - 0.001))[0] is Action.PROMOTE


def test_an_unsound_split_blocks_the_promotion_and_accuses_nobody() -> None:
    alarm = SplitEvidence(name="assigned", stages=[], log_bayes_factor=8, peak_log_bayes_factor=8, alarm=True)
    errors = metric("errors", kind=Kind.EVENT, verdict=Verdict.HARM)

    assert decided(evidence(splits=[alarm])) == (Action.HOLD, {Code.SPLIT_MISMATCH})
    assert decided(evidence(metric(), errors, splits=[alarm])) == (Action.HOLD, {Code.SPLIT_MISMATCH})


def test_harm_on_pairs_does_not_rest_on_the_split_and_rolls_back_all_the_same() -> None:
    alarm = SplitEvidence(name="assigned", stages=[], log_bayes_factor=8, peak_log_bayes_factor=8, alarm=True)

    assert decided(evidence(metric(verdict=Verdict.HARM), splits=[alarm])) == (Action.ROLLBACK, {Code.HARM})


def test_a_proven_small_loss_stops_the_ramp_but_not_the_experiment() -> None:
    loss = metric(log_e_any_loss=10.0)
    ramped = {"ramp": (10.0, 50.0)}

    assert decided(evidence(loss, metric("errors")), **ramped) == (Action.HOLD, {Code.ANY_LOSS})
    assert decided(evidence(loss, metric("errors"), cost()))[0] is Action.PROMOTE


def test_a_stage_advances_when_it_has_its_units_and_its_time() -> None:
    ramped = {"ramp": (10.0, 50.0)}
    soon = Progress(stage=0, epoch_seconds=600, stage_seconds=600)

    assert decided(evidence(), **ramped) == (Action.ADVANCE, {Code.STAGE_DONE})
    assert decided(evidence(stage_units=99), **ramped) == (Action.HOLD, {Code.TOO_FEW_UNITS})
    assert decided(evidence(), soon, **ramped) == (Action.HOLD, {Code.TOO_EARLY})


def test_when_the_time_is_up_cannot_tell_is_the_answer() -> None:
    over = Progress(stage=0, epoch_seconds=29 * DAY, stage_seconds=DAY)
    unsure = metric(peak_log_e_noninferior=0.0)

    action, codes = decided(evidence(unsure, cost()), over)

    assert action is Action.STOP_UNDECIDABLE
    assert codes == {Code.TIME_IS_UP, Code.NOT_YET_NONINFERIOR}


def test_figures_that_contradict_their_own_assumptions_never_promote() -> None:
    broken = metric(verdict=Verdict.NOT_ESTIMABLE, reason="assumptions violated", interval=None)

    assert decided(evidence(broken, metric("errors"), cost())) == (Action.HOLD, {Code.ASSUMPTIONS_VIOLATED})


def test_after_a_rollback_nothing_is_decided_any_more_only_the_damage_is_told() -> None:
    harmed = evidence(metric(verdict=Verdict.HARM), phase=Phase.ROLLED_BACK)

    assert decided(harmed) == (Action.HOLD, {Code.HARM})
    assert decided(evidence(phase=Phase.ROLLED_BACK)) == (Action.HOLD, set())


def test_a_guardrail_without_any_unit_is_told_as_not_measured() -> None:
    nothing = metric(units=0, verdict=Verdict.NOT_ESTIMABLE, estimate=None, interval=None, peak_log_e_noninferior=0.0)

    assert decided(evidence(nothing, cost())) == (Action.HOLD, {Code.NOT_YET_NONINFERIOR})


def test_guardrails_of_events_only_need_no_proof_of_safety_but_must_not_harm() -> None:
    thumbs = Guardrail(name="thumbs_up", feedback=True, max_relative=1.2)
    quiet = metric("thumbs_up", kind=Kind.EVENT, peak_log_e_noninferior=None, log_e_any_loss=None)

    assert decided(evidence(metric(), quiet, cost()), guardrails=(thumbs,))[0] is Action.PROMOTE


# --- hard trips -------------------------------------------------------------------------------------------------------


def recent(treatment: tuple[int, int, int], control: tuple[int, int, int] = (100, 0, 0)) -> tuple[Recent, Recent]:
    """(requests, failed, empty) of each."""
    sides = (("control", control), ("treatment", treatment))
    first, second = (Recent(variant=v, requests=n, failed=bad, empty=empty) for v, (n, bad, empty) in sides)
    return first, second


@pytest.mark.parametrize(
    ("found", "codes"),
    [
        (recent((20, 10, 0)), {Code.FAILING}),
        (recent((20, 0, 10)), {Code.EMPTY_ANSWERS}),
        (recent((40, 20, 20)), {Code.FAILING, Code.EMPTY_ANSWERS}),
    ],
)
def test_a_treatment_that_is_plainly_broken_is_paused_at_once(found, codes: set[Code]) -> None:
    first_minute = Progress(stage=0, epoch_seconds=30, stage_seconds=30)

    assert decided(evidence(recent=found), first_minute) == (Action.PAUSE, codes)


@pytest.mark.parametrize(
    "found",
    [
        recent((19, 19, 0)),
        recent((100, 49, 49)),
        recent((100, 60, 0), control=(100, 40, 0)),
        recent((100, 0, 60), control=(100, 0, 30)),
    ],
    ids=["too-few", "not-often-enough", "control-fails-too", "control-is-as-empty"],
)
def test_what_is_rare_or_the_fault_of_both_trips_nothing(found) -> None:
    assert decided(evidence(recent=found))[0] in {Action.PROMOTE, Action.HOLD}


def test_what_a_trip_does_is_the_policys_choice() -> None:
    broken = evidence(recent=recent((100, 100, 0)))

    assert decided(broken, trips=Trips(action="rollback"))[0] is Action.ROLLBACK
    assert decided(broken, trips=Trips(action="off"))[0] is Action.PROMOTE


def test_proven_harm_goes_before_a_trip() -> None:
    harmed = evidence(metric(verdict=Verdict.HARM, peak_log_e_harm=9.0), recent=recent((100, 100, 0)))

    assert decided(harmed) == (Action.ROLLBACK, {Code.HARM})


def test_while_control_is_down_nothing_rises() -> None:
    down = recent((100, 0, 0), control=(100, 50, 0))

    assert decided(evidence(recent=down)) == (Action.HOLD, {Code.CONTROL_FAILING})
    assert decided(evidence(recent=down), ramp=(10.0, 50.0)) == (Action.HOLD, {Code.CONTROL_FAILING})


# --- slices -----------------------------------------------------------------------------------------------------------


def test_a_waived_value_of_a_protected_slice_holds_nothing() -> None:
    hindi = metric(slice="language=hi", peak_log_e_noninferior=0.5)
    policy = Policy(min_units=200, protected_slices=("language",), waived_slices=("language=hi",))
    waiving = experiment().model_copy(update={"policy": policy})

    assert decide(evidence(metric(), metric("errors"), cost(), hindi), waiving, LATER).action is Action.PROMOTE


def test_harm_in_one_slice_holds_where_the_policy_says_so_and_harm_beyond_it_does_not() -> None:
    holding = experiment().model_copy(update={"policy": Policy(min_units=200, on_slice_harm="hold")})
    hindi = metric(slice="language=hi", verdict=Verdict.HARM, peak_log_e_harm=9.0)
    overall = metric(verdict=Verdict.HARM, peak_log_e_harm=9.0)

    held = decide(evidence(metric(), hindi, cost()), holding, LATER)

    assert (held.action, [reason.code for reason in held.reasons]) == (Action.HOLD, [Code.SLICE_HARM])
    assert decide(evidence(overall, hindi, cost()), holding, LATER).action is Action.ROLLBACK


# --- after a promotion ------------------------------------------------------------------------------------------------


def test_late_harm_takes_a_promotion_back_and_nothing_else_does() -> None:
    alarm = Late(metric="quality", units=900, peak=13.0, threshold=12.6)
    quiet = Late(metric="errors", units=900, peak=12.0, threshold=12.6)
    harmed_once = metric(verdict=Verdict.HARM, peak_log_e_harm=9.0)

    assert decided(evidence(phase=Phase.PROMOTED, late=(quiet, alarm))) == (Action.ROLLBACK, {Code.LATE_HARM})
    assert decided(evidence(harmed_once, phase=Phase.PROMOTED, late=(quiet,))) == (Action.HOLD, set())


def test_late_harm_of_events_takes_a_promotion_back_unless_the_split_is_unsound() -> None:
    """As before a promotion: harm on pairs does not rest on the split, harm of events does."""
    late = Late(metric="errors", kind=Kind.EVENT, units=900, peak=13.0, threshold=12.6)
    paired = Late(metric="quality", units=900, peak=13.0, threshold=12.6)
    skewed = SplitEvidence(name="assigned", stages=[], log_bayes_factor=8, peak_log_bayes_factor=8, alarm=True)

    found = decide(evidence(phase=Phase.PROMOTED, late=(late,)), experiment(), LATER)

    assert (found.action, [r.kind for r in found.reasons]) == (Action.ROLLBACK, [Kind.EVENT])
    silenced = evidence(phase=Phase.PROMOTED, late=(late,), splits=[skewed])
    assert decided(silenced) == (Action.HOLD, {Code.SPLIT_MISMATCH})
    proven = decide(evidence(phase=Phase.PROMOTED, late=(late, paired), splits=[skewed]), experiment(), LATER)
    assert (proven.action, [r.metric for r in proven.reasons]) == (Action.ROLLBACK, ["quality"])


def test_a_promoted_treatment_that_breaks_is_taken_back_at_once() -> None:
    broken = evidence(phase=Phase.PROMOTED, recent=recent((100, 90, 0)))

    assert decided(broken) == (Action.ROLLBACK, {Code.FAILING})
