"""What would change the decision: what is missing, and what would take the treatment back."""

import math

import pytest
from tests_builders import make_experiment
from tests_standings import make_evidence, make_look, make_row, make_standing

from experiments.config.records import Policy
from experiments.evidence import Code, Reason
from experiments.model import Phase
from experiments.showing.changes import what_would_change


def changes(*reasons: Reason) -> list[str]:
    return what_would_change(make_standing(look=make_look(make_evidence(make_row()), *reasons)))


def test_a_missing_proof_says_how_far_it_is() -> None:
    reason = Reason(
        code=Code.NOT_YET_NONINFERIOR, metric="quality", margin=0.02, value=math.log(3), threshold=math.log(40)
    )

    assert changes(reason)[0] == (
        "A promotion needs a loss of 2 points or more in quality to be ruled out: "
        "evidence of 3 times, 40 times are needed."
    )


def test_missing_units_and_time_are_what_is_left() -> None:
    units = Reason(code=Code.TOO_FEW_UNITS, units=150, threshold=200.0)
    time = Reason(code=Code.TOO_EARLY, value=86_400.0, threshold=7 * 86_400.0)

    assert changes(units, time)[:2] == ["50 more units have to be compared.", "6 days more have to pass."]


def test_what_would_roll_it_back_names_the_nearest_metric() -> None:
    near = make_row(metric="errors", peak_log_e_harm=math.log(20), tolerance=0.005)

    (said,) = what_would_change(make_standing(make_row(), near))

    assert said == (
        "It is rolled back as soon as harm beyond what is tolerated is proven in any guardrail. "
        "The nearest is the error rate, all traffic, at a loss of more than 0.5 points: "
        "evidence of 20 times, 40 times are needed."
    )


@pytest.mark.parametrize(
    ("phase", "holdback", "part"),
    [
        (Phase.PROMOTED, 5.0, "5 % of the users stay with control"),
        (Phase.PROMOTED, 0.0, "no holdback is kept"),
        (Phase.ROLLED_BACK, 0.0, "Nothing by itself"),
        (Phase.PAUSED, 0.0, "Somebody has to resume it"),
        (Phase.GATED, 0.0, "nothing is missing at its gate"),
    ],
)
def test_an_experiment_that_does_not_run_says_what_moves_it(phase: Phase, holdback: float, part: str) -> None:
    experiment = make_experiment(policy=Policy(holdback_percent=holdback))

    (said,) = what_would_change(make_standing(make_row(), phase=phase, experiment=experiment))

    assert part in said
