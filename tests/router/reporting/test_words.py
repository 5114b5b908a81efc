"""What all forms of a report write alike."""

import msgspec

from experiments.evidence import SplitEvidence
from experiments.model import Phase
from experiments.stored import Transition
from router.reporting.words import change, split_rows

ADVANCED = Transition(
    experiment="support",
    epoch=1,
    look=7,
    at=0.0,
    actor="controller",
    from_phase=Phase.RUNNING,
    to_phase=Phase.RUNNING,
    from_stage=0,
    to_stage=1,
    split_basis_points=5_000,
    reason="",
)


def test_a_change_names_both_phases_or_the_new_split() -> None:
    back = msgspec.structs.replace(ADVANCED, to_phase=Phase.ROLLED_BACK, split_basis_points=0)

    assert change(ADVANCED) == "running, 50 % with the treatment"
    assert change(back) == "running → rolled back, 0 % with the treatment"


def test_a_stage_in_which_nobody_came_has_no_share() -> None:
    found = SplitEvidence(
        name="assigned",
        stages=[(1_000, 90, 10), (5_000, 0, 0)],
        log_bayes_factor=0.0,
        peak_log_bayes_factor=0.0,
        alarm=True,
    )

    first, second = split_rows([found])

    assert first == ("assigned", "10 %", "90", "10", "10.0 %", "ALARM")
    assert second.share == "-"
