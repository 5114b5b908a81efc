"""What happens to an experiment is told at its edge: a transition once, an alarm when it begins."""

import pytest

from experiments.evidence import Action, Code, Decision, Evidence, Reason
from experiments.model import Phase
from experiments.stored import Look, Transition
from experiments.telling.escalation import Severity
from experiments.telling.events import ALARMS, alarms, channel_down, event_of

NOW = 1_700_000_000.0


def transition(to: Phase, actor: str = "controller", **changes: int | None) -> Transition:
    values = {"epoch": 2, "look": 7, "from_stage": 0, "to_stage": 0, "split_basis_points": 1000} | changes
    return Transition(
        experiment="support", at=NOW, actor=actor, from_phase=Phase.RUNNING, to_phase=to, reason="why", **values
    )


def decision(action: Action, *reasons: Reason) -> Decision:
    return Decision(action=action, reasons=list(reasons))


def look(decided: Decision) -> Look:
    evidence = Evidence(
        experiment="support", epoch=2, look=7, at=NOW, stage=0, phase=Phase.RUNNING, units=1, stage_units=1,
        exchanges=1, served_by_treatment=0, pairs=1, metrics=[], splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip
    return Look(
        experiment="support", epoch=2, number=7, at=NOW, stage=0, exchange_seq=1, outcome_seq=1, feedback_seq=1,
        evidence=evidence, decision=decided, state={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "severity"),
    [
        (Phase.ROLLED_BACK, Severity.CRITICAL),
        (Phase.PAUSED, Severity.CRITICAL),
        (Phase.STOPPED, Severity.WARNING),
        (Phase.PROMOTED, Severity.INFO),
        (Phase.RUNNING, Severity.INFO),
        (Phase.GATED, Severity.INFO),
        (Phase.DRAFT, Severity.INFO),
    ],
)
def test_each_phase_has_its_severity_and_its_words(phase: Phase, severity: Severity) -> None:
    event = event_of(transition(phase))

    assert (event.severity, event.at, event.experiment) == (severity, NOW, "support")
    assert event.title.startswith("support ")
    assert event.text == "By controller: why"


def test_an_a_a_run_that_is_not_clean_is_a_warning_and_its_beginning_is_news() -> None:
    unclean = event_of(transition(Phase.GATED, split_basis_points=0))
    begun = event_of(transition(Phase.GATED, actor="gate", look=None, split_basis_points=5_000))

    assert (unclean.severity, unclean.title) == (Severity.WARNING, "support is held up: its A/A run is not clean")
    assert (begun.severity, begun.title) == (Severity.INFO, "support begins with an A/A run: control answers everyone")


def test_what_the_gate_pauses_is_no_persons_doing() -> None:
    assert event_of(transition(Phase.PAUSED, actor="gate")).severity is Severity.CRITICAL


def test_what_a_person_did_alarms_nobody() -> None:
    event = event_of(transition(Phase.ROLLED_BACK, actor="asha"))

    assert (event.severity, event.text) == (Severity.INFO, "By asha: why")


def test_a_stage_says_how_much_the_treatment_serves() -> None:
    event = event_of(transition(Phase.RUNNING, to_stage=1, split_basis_points=2550))

    assert event.title == "support is running at stage 2: the treatment serves 25.5 %"


def test_each_stage_and_each_epoch_is_a_story_of_its_own() -> None:
    moves = [transition(Phase.RUNNING, to_stage=stage, epoch=epoch) for stage in (0, 1) for epoch in (1, 2)]

    assert len({event_of(move).key for move in moves}) == 4


SRM = Reason(code=Code.SPLIT_MISMATCH, metric="assigned")
SHED = Reason(code=Code.RECORDING_SHED, units=3)


def test_an_alarm_is_told_when_it_begins_and_not_while_it_lasts() -> None:
    newest = look(decision(Action.HOLD, SRM, SHED))

    first = alarms(None, newest)
    more = alarms(decision(Action.HOLD, SRM), newest)
    same = alarms(newest.decision, newest)

    assert [event.key for event in first] == ["support/2/split_mismatch/assigned", "support/2/recording_shed"]
    assert [event.key for event in more] == ["support/2/recording_shed"]
    assert {event.severity for event in first} == {Severity.WARNING}
    assert same == []


def test_an_alarm_with_new_figures_is_the_same_alarm() -> None:
    worse = Reason(code=Code.RECORDING_SHED, units=900)

    assert alarms(decision(Action.HOLD, SHED), look(decision(Action.HOLD, worse))) == []


@pytest.mark.parametrize("code", sorted(set(Code) - ALARMS))
def test_what_is_part_of_every_experiment_is_no_alarm(code: Code) -> None:
    reason = Reason(code=code, metric="quality", value=0.0, threshold=1.0, units=1)

    assert alarms(None, look(decision(Action.HOLD, reason))) == []


def test_a_promotion_that_waits_for_a_person_is_told_once() -> None:
    newest = look(decision(Action.PROMOTE, Reason(code=Code.GOAL_REACHED, metric="latency", estimate=-0.4)))

    [event] = alarms(decision(Action.HOLD), newest)

    assert (event.key, event.severity) == ("support/2/ready", Severity.INFO)
    assert event.text == "latency is lower as promised: 40 % less"
    assert alarms(newest.decision, newest) == []


def test_a_channel_that_is_down_is_told_by_its_name() -> None:
    event = channel_down("pager", NOW)

    assert (event.key, event.severity, event.at) == ("channel/pager", Severity.WARNING, NOW)
