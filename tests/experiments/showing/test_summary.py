"""An experiment as all faces show it."""

import msgspec
import pytest
from tests_builders import make_experiment
from tests_standings import BEGAN, make_evidence, make_goal, make_look, make_row, make_standing

from experiments.config.records import Cohort
from experiments.evidence import Action, Code, Decision, Reason, Verdict
from experiments.model import Phase
from experiments.showing.summary import ExperimentSummary, summarise


def test_a_summary_says_where_the_experiment_stands() -> None:
    experiment = make_experiment(owner="asha", hypothesis="int4 is as good", ramp=(5.0, 25.0, 50.0))
    found = summarise(make_standing(make_row(Verdict.NONINFERIOR), make_goal(), experiment=experiment))

    assert (found.name, found.owner, found.hypothesis) == ("support", "asha", "int4 is as good")
    assert found.phase_text == "Running: the treatment serves 50 % of the users."
    assert (found.stage, found.stages, found.split_percent, found.mirror_percent) == (1, 3, 50.0, 100.0)
    assert (found.since, found.look, found.requests, found.units) == (BEGAN, 3, 5_000, 400)
    assert found.tone == "good"
    assert [row.metric for row in found.metrics] == ["quality", "cost"]
    assert [table.metric for table in found.paired] == ["quality"]


def test_one_of_several_treatments_says_so() -> None:
    cohort = Cohort(group="support", index=0, count=3, salt="s")

    assert summarise(make_standing(experiment=make_experiment(cohort=cohort))).cohort == (
        "one of 3 treatments of support"
    )


def test_a_decision_comes_with_its_reasons_in_words() -> None:
    reason = Reason(code=Code.TOO_FEW_UNITS, units=150, threshold=200.0)
    found = summarise(make_standing(look=make_look(make_evidence(make_row()), reason)))

    assert (found.decision, found.reasons) == ("kept running", ["150 of at least 200 units analysed"])


def test_when_all_is_over_a_look_only_observes() -> None:
    hold = Decision(action=Action.HOLD, reasons=[])
    look = make_look(make_evidence(make_row()), decision=hold)

    assert summarise(make_standing(look=look, phase=Phase.ROLLED_BACK)).decision == "observed only"


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_can_be_summarised_before_and_after_the_first_look(phase: Phase) -> None:
    for rows in ((), (make_row(), make_goal())):
        found = summarise(make_standing(*rows, phase=phase, transitions=()))
        again = msgspec.json.decode(msgspec.json.encode(found), type=ExperimentSummary)

        assert again == found
        assert found.verdict.endswith(".")
        assert found.phase_text
