"""What a person may do to an experiment, when it is refused, and that the controller goes on from there."""

import pytest
from tests_builders import make_experiment

from experiments.lifecycle import start
from experiments.model import Phase, Route
from experiments.operating import Command, CommandRefusedError, obey, operate
from experiments.store import Epoch, RouteState, Store, Transition

EXPERIMENT = make_experiment(ramp=(5.0, 50.0), mirror_percent=20.0)


def route(phase: Phase = Phase.RUNNING, stage: int = 1, split: int = 5_000, mirror: int = 2_000) -> Route:
    return Route(
        experiment="support", epoch=1, stage=stage, phase=phase, split_basis_points=split,
        mirror_basis_points=mirror, salt="support",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "phase", "split"),
    [
        (Command.PAUSE, Phase.PAUSED, 0),
        (Command.ROLLBACK, Phase.ROLLED_BACK, 0),
        (Command.STOP, Phase.STOPPED, 0),
        (Command.PROMOTE, Phase.PROMOTED, 10_000),
    ],
)
def test_a_running_experiment_obeys(command: Command, phase: Phase, split: int) -> None:
    after = obey(EXPERIMENT, route(), command)

    assert (after.phase, after.split_basis_points, after.mirror_basis_points) == (phase, split, 0)
    assert (after.stage, after.epoch, after.salt) == (1, 1, "support")


def test_it_goes_to_the_next_stage_by_hand() -> None:
    after = obey(EXPERIMENT, route(stage=0, split=500), Command.ADVANCE)

    assert after == route(stage=1, split=5_000)


def test_it_resumes_where_it_was_paused() -> None:
    paused = obey(EXPERIMENT, route(), Command.PAUSE)

    assert obey(EXPERIMENT, paused, Command.RESUME) == route()


def test_a_promotion_can_be_taken_back_at_once() -> None:
    promoted = obey(EXPERIMENT, route(), Command.PROMOTE)

    assert obey(EXPERIMENT, promoted, Command.ROLLBACK).split_basis_points == 0


@pytest.mark.parametrize(
    ("phase", "command", "why"),
    [
        (Phase.RUNNING, Command.RESUME, "is running: only a paused"),
        (Phase.PAUSED, Command.PAUSE, "is paused: only a running"),
        (Phase.RUNNING, Command.ADVANCE, "is at its last stage"),
        (Phase.PAUSED, Command.ADVANCE, "is paused: only a running"),
        (Phase.GATED, Command.ADVANCE, "is gated: only a running"),
        (Phase.ROLLED_BACK, Command.PROMOTE, "is rolled back: it has ended"),
        (Phase.STOPPED, Command.STOP, "is stopped: it has ended"),
        (Phase.PROMOTED, Command.PROMOTE, "is promoted: it has ended"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(phase: Phase, command: Command, why: str) -> None:
    with pytest.raises(CommandRefusedError, match=why):
        obey(EXPERIMENT, route(phase), command)


def begin(store: Store) -> None:
    first = start(EXPERIMENT, 1)
    begun = Transition(
        experiment="support", epoch=1, look=None, at=5.0, actor="config", from_phase=Phase.DRAFT,
        to_phase=Phase.RUNNING, from_stage=0, to_stage=0, split_basis_points=500, reason="first epoch",
    )  # fmt: skip
    epoch = Epoch(experiment="support", number=1, config_hash="abc", config={}, started_at=5.0)
    store.begin_epoch(epoch, RouteState(route=first, epoch_started_at=5.0, stage_started_at=5.0), begun)


def test_a_command_is_in_the_store_with_who_asked_when_and_why(store: Store) -> None:
    begin(store)

    operate(store, EXPERIMENT, Command.PAUSE, actor="asha", reason="a fan is broken", now=9.0)

    [route_now] = store.routes()
    last = store.transitions("support")[-1]
    assert (route_now.phase, route_now.split_basis_points) == (Phase.PAUSED, 0)
    assert (last.actor, last.reason, last.at, last.from_phase, last.to_phase) == (
        "asha", "a fan is broken", 9.0, Phase.RUNNING, Phase.PAUSED,
    )  # fmt: skip


def test_what_has_not_begun_obeys_nobody(store: Store) -> None:
    with pytest.raises(CommandRefusedError, match="has not begun"):
        operate(store, EXPERIMENT, Command.PAUSE, actor="asha", reason="", now=9.0)


def test_who_decides_on_a_route_that_has_changed_meanwhile_changes_nothing(store: Store) -> None:
    begin(store)
    [seen] = store.routes()
    operate(store, EXPERIMENT, Command.PAUSE, actor="asha", reason="first", now=9.0)
    count = len(store.transitions("support"))
    late = store.transitions("support")[-1]

    state = store.route_states()["support"]
    moved = store.move(seen, late, RouteState(route=seen, epoch_started_at=5.0, stage_started_at=5.0))

    assert not moved
    assert store.route_states()["support"] == state
    assert len(store.transitions("support")) == count


def test_a_stage_that_is_begun_by_hand_begins_now(store: Store) -> None:
    begin(store)

    operate(store, EXPERIMENT, Command.ADVANCE, actor="asha", reason="a demo", now=9.0)

    state = store.route_states()["support"]
    assert (state.route.stage, state.stage_started_at, state.epoch_started_at) == (1, 9.0, 5.0)
    last = store.transitions("support")[-1]
    assert (last.from_stage, last.to_stage, last.from_phase, last.to_phase) == (0, 1, Phase.RUNNING, Phase.RUNNING)
