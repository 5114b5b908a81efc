"""What follows from the gate: who waits begins, who runs is paused when its golden set fails, each once."""

from pathlib import Path

import pytest
from tests_builders import make_experiment

from experiments.golden.gatehouse import Gatehouse
from experiments.golden.store import GoldenRun, GuardStore
from experiments.lifecycle import start, wait
from experiments.model import Phase, Route
from experiments.store import Epoch, RouteState, Store, Transition

EXPERIMENT = make_experiment(golden=Path("golden.jsonl"), ramp=(5.0, 50.0))


class Keeper:
    """A gatekeeper whose findings are given."""

    def __init__(self, *waits_for: str) -> None:
        self.missing = list(waits_for)
        self.again = 0

    def waits_for(self, *_: object) -> list[str]:
        return list(self.missing)

    def run_again(self, *_: object) -> None:
        self.again += 1


def begin(store: Store, route: Route) -> None:
    begun = Transition(
        experiment="support", epoch=1, look=None, at=5.0, actor="config", from_phase=Phase.DRAFT,
        to_phase=route.phase, from_stage=0, to_stage=0, split_basis_points=0, reason="first epoch",
    )  # fmt: skip
    epoch = Epoch(experiment="support", number=1, config_hash="abc", config={}, started_at=5.0)
    store.begin_epoch(epoch, RouteState(route=route, epoch_started_at=5.0, stage_started_at=5.0), begun)


def ran(store: Store, number: int, at: float, result: str) -> None:
    GuardStore(store.engine).add_run(
        GoldenRun(
            experiment="support", epoch=1, number=number, at=at, actor="gate", result=result, summary=f"It {result}."
        )
    )


def state(store: Store) -> RouteState:
    return store.route_states()["support"]


@pytest.fixture(name="waiting")
def _waiting(store: Store) -> Store:
    begin(store, wait(EXPERIMENT, 1))
    return store


def test_what_it_waits_for_is_kept_for_those_who_ask(waiting: Store) -> None:
    keeper = Keeper("int4 does not answer")
    house = Gatehouse(waiting, keeper)  # type: ignore[arg-type]

    assert not house.visit(EXPERIMENT, state(waiting), 10.0)

    [gate] = GuardStore(waiting.engine).gates().values()
    assert (gate.waits_for, gate.at, state(waiting).route.phase) == (["int4 does not answer"], 10.0, Phase.GATED)


def test_when_nothing_is_missing_it_begins_at_its_first_stage_and_its_time_counts_from_then(waiting: Store) -> None:
    ran(waiting, 1, 9.0, "passed")
    house = Gatehouse(waiting, Keeper())  # type: ignore[arg-type]

    assert house.visit(EXPERIMENT, state(waiting), 20.0)

    now, last = state(waiting), waiting.transitions("support")[-1]
    route = now.route
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.RUNNING, 500, 10_000)
    assert (now.epoch_started_at, now.stage_started_at) == (20.0, 20.0)
    assert (last.actor, last.reason) == ("gate", "the backends answer; the golden set: It passed.")
    assert GuardStore(waiting.engine).gates() == {}
    assert not house.visit(EXPERIMENT, state(waiting), 21.0), "it begins once"


def test_a_running_experiment_is_paused_when_its_golden_set_fails_later(store: Store) -> None:
    begin(store, start(EXPERIMENT, 1))
    keeper = Keeper()
    house = Gatehouse(store, keeper)  # type: ignore[arg-type]
    ran(store, 1, 8.0, "passed")
    house.visit(EXPERIMENT, state(store), 9.0)
    still = state(store).route.phase

    ran(store, 2, 30.0, "failed")
    house.visit(EXPERIMENT, state(store), 31.0)

    assert (still, state(store).route.phase, keeper.again) == (Phase.RUNNING, Phase.PAUSED, 2)
    assert store.transitions("support")[-1].reason == "the golden set, sent again: It failed."


def test_who_resumes_has_seen_the_failed_run(store: Store) -> None:
    begin(store, start(EXPERIMENT, 1))
    house = Gatehouse(store, Keeper())  # type: ignore[arg-type]
    ran(store, 1, 4.0, "failed")

    house.visit(EXPERIMENT, state(store), 31.0)

    assert state(store).route.phase is Phase.RUNNING


def test_what_is_paused_or_over_has_no_gate(store: Store) -> None:
    begin(store, start(EXPERIMENT, 1))
    keeper = Keeper("something")
    ended = RouteState(
        route=Route(experiment="support", epoch=1, phase=Phase.STOPPED), epoch_started_at=5.0, stage_started_at=5.0
    )

    assert not Gatehouse(store, keeper).visit(EXPERIMENT, ended, 9.0)  # type: ignore[arg-type]
    assert keeper.again == 0
