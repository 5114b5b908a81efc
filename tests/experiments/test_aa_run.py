"""The A/A run under the real controller: an epoch of its own, of which nothing counts for the experiment."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import event
from tests_history import CONFIG, Answer, Life, good, living

from experiments.attempts import AA_CANDIDATE
from experiments.config import Experiment
from experiments.controller import Controller
from experiments.golden.store import GuardStore
from experiments.journal.recorder import Recorder
from experiments.model import Phase, Role
from experiments.operating import Command, operate
from experiments.replay import replay
from experiments.stored import Transition

GATE = "[experiments.support.gate]\naa_units = 100\n"


class Killed(BaseException):
    """The process is gone."""


class Keeper:
    """A gatekeeper whose backends answer, or do not; a golden set is none of an A/A run's business."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def waits_for(self, experiment: Experiment, *_: object) -> list[str]:
        assert not (self.missing and experiment.gate.golden)
        return list(self.missing)


def begin_again(life: Life, keeper: Keeper) -> None:
    """Start a controller on what is in the store, as after a kill."""
    recorder = Recorder(life.config, life.store)
    life.controller = Controller(life.config, life.store, recorder, gatekeeper=keeper)  # type: ignore[arg-type]
    life.start()


@pytest.fixture(name="keeper")
def _keeper() -> Keeper:
    return Keeper()


@pytest.fixture(name="live")
def _live(tmp_path: Path, keeper: Keeper) -> Iterator[Callable[..., Life]]:
    """Begin a life with an A/A run before it, and let the backends answer."""
    lives = []

    def begin(text: str = CONFIG) -> Life:
        context = living(tmp_path, text + GATE)
        lives.append(context)
        life = context.__enter__()
        begin_again(life, keeper)
        return life

    yield begin
    for context in reversed(lives):
        context.__exit__(None, None, None)


def run(life: Life, answer: Answer = good, rounds: int = 5) -> None:
    for number in range(rounds):
        life.tick()
        life.serve(number * 40, number * 40 + 40, answer)


def last(life: Life) -> Transition:
    return life.store.transitions("support")[-1]


def waits_for(life: Life) -> list[str]:
    return GuardStore(life.store.engine).gates()["support"].waits_for


def test_it_begins_when_the_backends_answer_and_halves_the_users_while_the_route_stays_gated(live, keeper) -> None:
    life: Life = live()
    keeper.missing = ["int4 does not answer"]
    life.tick()
    before, said = life.store.routes()[0], waits_for(life)

    keeper.missing = []
    life.tick()

    [route] = life.store.routes()
    assert (before.phase, before.split_basis_points, said) == (Phase.GATED, 0, ["int4 does not answer"])
    assert (route.phase, route.split_basis_points, route.mirror_basis_points) == (Phase.GATED, 5_000, 10_000)
    assert "A/A run over 100 units" in last(life).reason


def test_a_clean_run_is_followed_by_the_experiment_in_an_epoch_of_its_own_and_nothing_of_the_run_counts(live) -> None:
    life: Life = live()
    run(life, lambda number: "no" if number % 40 == 7 else "yes", rounds=4)
    life.tick()
    life.tick()

    aa, own = life.store.epochs("support")
    [route] = life.store.routes()
    assert (aa.candidate, aa.config_hash) == (AA_CANDIDATE, own.config_hash)
    assert (own.attempt, own.number, route.epoch) == (1, 2, 2)
    began = next(move for move in life.store.transitions("support") if move.epoch == 2)
    assert (began.actor, began.from_phase, began.to_phase) == ("gate", Phase.GATED, Phase.GATED)
    assert began.reason.startswith("A/A over 120 units: clean; control disagrees with itself in 2.5 % of pairs")
    assert route.phase is Phase.RUNNING, "the usual gate follows, and here nothing keeps it shut"
    life.serve(1_000, 1_040)
    life.tick()
    newest = life.store.latest_look("support", 2)
    assert newest is not None
    assert newest.evidence.units == 40
    assert all(found.same for found in replay(life.store, life.config.experiments["support"], 1))


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4, 5, 6])
def test_killed_at_any_commit_around_its_end_it_is_followed_by_one_epoch_and_by_no_other(live, keeper, kill_at) -> None:
    life: Life = live()
    run(life, rounds=3)
    commits = itertools.count(1)

    def kill(_connection: object) -> None:
        if next(commits) == kill_at:
            raise Killed

    event.listen(life.store.engine, "commit", kill)
    for _ in range(3):
        try:
            life.tick()
        except Killed:
            event.remove(life.store.engine, "commit", kill)
            break
    else:
        pytest.fail("it was never killed")
    begin_again(life, keeper)
    life.tick()
    life.tick()
    life.tick()

    moves = [(move.epoch, move.to_phase, move.split_basis_points) for move in life.store.transitions("support")]
    gated = [(1, Phase.GATED, 0), (1, Phase.GATED, 5_000), (2, Phase.GATED, 0)]
    assert moves == [*gated, (2, Phase.RUNNING, 1_000)]
    assert all(found.same for found in replay(life.store, life.config.experiments["support"], 1))


def test_control_that_differs_from_itself_keeps_the_gate_shut_and_is_told_why(live, keeper) -> None:
    life: Life = live()
    run(life, lambda number: "no" if number % 2 else "yes", rounds=4)
    life.tick()

    [route] = life.store.routes()
    assert (route.phase, route.epoch, route.split_basis_points, route.mirror_basis_points) == (Phase.GATED, 1, 0, 0)
    move = last(life)
    assert move.look is not None
    assert "not clean" in move.reason
    said = waits_for(life)
    assert said[0].startswith("A/A: agreement in all traffic differs by 50 points between control and itself, and 10 ")
    assert "as good would be rolled back" in said[-1]
    looks = len(life.store.looks("support", 1))
    begin_again(life, keeper)
    life.tick()
    assert len(life.store.looks("support", 1)) == looks, "found is found, also over a restart"
    assert waits_for(life) == said
    assert all(found.same for found in replay(life.store, life.config.experiments["support"], 1))


def test_a_restart_goes_on_with_the_run_and_begins_no_other_one(live, keeper) -> None:
    life: Life = live()
    run(life, rounds=2)
    begin_again(life, keeper)
    life.tick()

    assert [epoch.number for epoch in life.store.epochs("support")] == [1]
    life.tick()
    assert waits_for(life) == ["the A/A run: 80 of 100 units analysed"]


def test_mirrored_requests_that_never_end_are_found_at_its_end(live) -> None:
    life: Life = live()
    for number in range(4):
        life.tick()
        shadows = [made for made in life.serve(number * 40, number * 40 + 40) if made.role is Role.SHADOW]
        life.write(*(replace(one, id=f"{one.id}-again", error="shed", status=0) for one in shadows[:4]))
    life.tick()

    assert last(life).reason.endswith("only 91 % of the mirrored requests came to an end, and 95 % are needed")


def test_what_a_person_promotes_past_it_is_not_pooled_with_the_run(live) -> None:
    life: Life = live()
    run(life, rounds=2)
    looks = len(life.store.looks("support", 1))

    operate(life.store, life.config.experiments["support"], Command.PROMOTE, actor="asha", reason="new", now=life.now)
    life.serve(500, 540)
    life.tick()

    assert life.store.routes()[0].phase is Phase.PROMOTED
    assert len(life.store.looks("support", 1)) == looks
