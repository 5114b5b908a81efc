"""How long until a decision, or why that cannot be told."""

from typing import Any

import pytest
from tests_builders import make_experiment
from tests_standings import make_evidence, make_look, make_row, make_standing

from experiments.config.records import Policy
from experiments.evidence import Code, Reason, Verdict
from experiments.model import Phase
from experiments.showing.standing import Standing
from experiments.showing.waiting import time_to_decision


def running(losses: int, wins: int, *reasons: Reason, policy: Policy | None = None, **row: Any) -> Standing:
    """400 units in half a day, of which so many lost and won."""
    counts = [[-1.0, losses], [0.0, 400 - losses - wins], [1.0, wins]]
    evidence = make_evidence(make_row(**row))
    look = make_look(evidence, *reasons, state={"differences": [["quality", "", counts]]})
    policy = policy or Policy(min_days=0, min_units=1)
    return make_standing(look=look, experiment=make_experiment(policy=policy))


def test_a_treatment_as_good_as_control_gets_there_in_days() -> None:
    wait = time_to_decision(running(4, 5))

    assert wait.days is not None
    assert 0 < wait.days < 5
    assert wait.text.endswith("if things stay as they are: until a loss of 2 points in quality is ruled out")


def test_a_treatment_that_is_worse_than_the_margin_is_not_on_its_way() -> None:
    wait = time_to_decision(running(40, 10))

    assert wait.days is None
    assert wait.text == "cannot tell: as quality stands, it is not on the way to a proof that no 2 points are lost"


def test_traffic_that_is_too_thin_for_the_margin_is_said_with_its_arithmetic() -> None:
    wait = time_to_decision(running(40, 42, policy=Policy(min_days=0, min_units=1, max_days=1)))

    assert "will probably not be decided in time: with 800 units" in wait.text


def test_the_least_time_counts_when_the_proof_is_there() -> None:
    wait = time_to_decision(running(4, 5, policy=Policy(min_days=7), verdict=Verdict.NONINFERIOR))

    assert wait.days == pytest.approx(6.5)
    assert wait.text == "about 6.5 days, if things stay as they are: it runs for 7 days at least"


def test_a_goal_that_is_not_reached_leaves_the_time_open() -> None:
    reason = Reason(code=Code.GOAL_NOT_REACHED, metric="cost")

    assert "no goal is reached yet" in time_to_decision(running(4, 5, reason, verdict=Verdict.NONINFERIOR)).text


def test_nothing_is_waited_for_that_has_happened_or_stands_still() -> None:
    assert time_to_decision(make_standing(make_row(), phase=Phase.PROMOTED)).text == "decided"
    assert time_to_decision(make_standing(make_row(), phase=Phase.PAUSED)).why_not == "it does not run (paused)"
    assert time_to_decision(make_standing()).why_not == "nothing has been compared yet"
    assert time_to_decision(make_standing(make_row())).why_not == "quality has not been measured yet"
