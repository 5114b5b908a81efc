"""How an experiment stands, and how it came to be so."""

import pytest
from tests_standings import BEGAN, make_evidence, make_look, make_row, make_standing, make_transition

from experiments.model import Phase


def test_the_cause_is_the_transition_into_the_present_phase_not_into_its_present_stage() -> None:
    start = make_transition()
    stage = make_transition(from_phase=Phase.RUNNING, to_stage=1, look=2)
    end = make_transition(Phase.ROLLED_BACK, look=3)

    assert make_standing(transitions=(start, stage)).cause == start
    assert make_standing(phase=Phase.ROLLED_BACK, transitions=(start, stage, end)).cause == end


def test_a_transition_of_an_earlier_epoch_is_no_cause() -> None:
    assert make_standing(transitions=(make_transition(epoch=0),)).cause is None


def test_days_are_those_of_the_steady_clock_or_else_of_the_look() -> None:
    assert make_standing(make_row()).days_run == 0.5
    older = make_look(make_evidence(make_row(), elapsed=None, at=BEGAN + 86_400))

    assert make_standing(look=older).days_run == pytest.approx(1.0)
    assert make_standing().days_run is None


def test_an_experiment_that_the_controller_has_not_seen_is_a_draft() -> None:
    standing = make_standing(state=None, epoch=None, transitions=())

    assert (standing.phase, standing.evidence, standing.decision) == (Phase.DRAFT, None, None)
