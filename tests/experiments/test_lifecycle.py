import pytest

from experiments.evidence import Action, Decision
from experiments.lifecycle import is_last_stage, start, step, wait
from experiments.model import Phase


def _decision(action: Action) -> Decision:
    return Decision(action=action, reasons=[])


def test_an_experiment_starts_running_at_the_first_stage_of_its_ramp(experiment) -> None:
    route = start(experiment(ramp=(2.5, 50.0), mirror_percent=20.0), epoch=3)

    assert (route.phase, route.stage, route.epoch) == (Phase.RUNNING, 0, 3)
    assert (route.split_basis_points, route.mirror_basis_points) == (250, 2000)


def test_advance_takes_the_next_stage_and_keeps_the_mirror(experiment) -> None:
    ramped = experiment(ramp=(10.0, 50.0))

    after = step(ramped, start(ramped, 1), _decision(Action.ADVANCE))

    assert after is not None
    assert (after.stage, after.split_basis_points, after.mirror_basis_points) == (1, 5000, 10_000)
    assert is_last_stage(ramped, after.stage)


@pytest.mark.parametrize(
    ("action", "phase", "split"),
    [
        (Action.PROMOTE, Phase.PROMOTED, 10_000),
        (Action.ROLLBACK, Phase.ROLLED_BACK, 0),
        (Action.STOP_UNDECIDABLE, Phase.STOPPED, 0),
    ],
)
def test_an_ending_decision_gives_all_traffic_to_one_side(experiment, action: Action, phase: Phase, split: int) -> None:
    after = step(experiment(), start(experiment(), 1), _decision(action))

    assert after is not None
    assert (after.phase, after.split_basis_points, after.mirror_basis_points) == (phase, split, 0)


def test_hold_changes_nothing(experiment) -> None:
    assert step(experiment(), start(experiment(), 1), _decision(Action.HOLD)) is None


def test_policy_may_pause_instead_of_rolling_back_and_notify_instead_of_promoting(experiment) -> None:
    careful = experiment()
    careful = careful.model_copy(
        update={"policy": careful.policy.model_copy(update={"on_harm": "pause", "on_success": "notify"})}
    )

    paused = step(careful, start(careful, 1), _decision(Action.ROLLBACK))

    assert paused is not None
    assert (paused.phase, paused.split_basis_points) == (Phase.PAUSED, 0)
    assert step(careful, start(careful, 1), _decision(Action.PROMOTE)) is None


def test_at_the_gate_control_serves_everyone_and_nothing_is_mirrored(experiment) -> None:
    route = wait(experiment(), epoch=2)

    assert (route.phase, route.epoch, route.split_basis_points, route.mirror_basis_points) == (Phase.GATED, 2, 0, 0)


def test_a_holdback_stays_with_control_and_goes_on_being_compared(experiment) -> None:
    careful = experiment(mirror_percent=20.0)
    careful = careful.model_copy(update={"policy": careful.policy.model_copy(update={"holdback_percent": 2.5})})

    after = step(careful, start(careful, 1), _decision(Action.PROMOTE))

    assert after is not None
    assert (after.phase, after.split_basis_points, after.mirror_basis_points) == (Phase.PROMOTED, 9_750, 2_000)


def test_a_trip_pauses_and_can_be_resumed(experiment) -> None:
    after = step(experiment(), start(experiment(), 1), _decision(Action.PAUSE))

    assert after is not None
    assert (after.phase, after.split_basis_points, after.mirror_basis_points) == (Phase.PAUSED, 0, 0)
