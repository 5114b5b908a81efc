"""The gate: what keeps it shut, when the golden set is run, and that nothing at the backends stops the loop."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests_builders import make_experiment

from experiments.config.guarding import Gate
from experiments.golden.gate import Gatekeeper, Ran, golden_is_due, golden_verdict_missing, needs_golden
from experiments.golden.store import GoldenRun, GuardStore
from experiments.store import Store

HOUR = 3600.0
WITH_GOLDEN = make_experiment(golden=Path("golden.jsonl"))


def run(number: int = 1, at: float = 0.0, result: str = "passed") -> GoldenRun:
    return GoldenRun(
        experiment="support", epoch=1, number=number, at=at, actor="gate", result=result, summary=f"It {result}."
    )


def ran(result: str = "passed") -> Ran:
    return Ran(result, f"It {result}.", {"result": result}, [{"id": "a", "control": "ok", "treatment": "ok"}])


# --- the rules --------------------------------------------------------------------------------------------------------


def test_without_a_golden_set_or_without_asking_for_it_there_is_nothing_to_run() -> None:
    assert needs_golden(WITH_GOLDEN)
    assert not needs_golden(make_experiment())
    assert not needs_golden(make_experiment(golden=Path("golden.jsonl"), gate=Gate(golden=False)))


def test_it_is_run_first_and_then_as_often_as_the_policy_says() -> None:
    assert golden_is_due(WITH_GOLDEN, [], 0.0)
    assert not golden_is_due(WITH_GOLDEN, [run(at=0.0)], 23.9 * HOUR)
    assert golden_is_due(WITH_GOLDEN, [run(at=0.0)], 24 * HOUR)
    once = make_experiment(golden=Path("golden.jsonl"), gate=Gate(every_hours=None))
    assert not golden_is_due(once, [run(at=0.0)], 1000 * HOUR)


def test_the_newest_run_decides() -> None:
    assert golden_verdict_missing(WITH_GOLDEN, []) == "the golden set has not been run yet"
    assert golden_verdict_missing(WITH_GOLDEN, [run(result="failed"), run(2)]) == ""
    assert golden_verdict_missing(WITH_GOLDEN, [run(), run(2, result="failed")]) == "the golden set: It failed."


def test_who_cannot_tell_waits_unless_the_policy_lets_him_pass() -> None:
    unsure = [run(result="cannot_tell")]
    passing = make_experiment(golden=Path("golden.jsonl"), gate=Gate(on_cannot_tell="pass"))

    assert golden_verdict_missing(WITH_GOLDEN, unsure)
    assert not golden_verdict_missing(passing, unsure)


# --- the keeper -------------------------------------------------------------------------------------------------------

Keep = Callable[..., Gatekeeper]


@pytest.fixture(name="keep")
def _keep(store: Store) -> Iterator[Keep]:
    keepers = []

    def start(run_golden=lambda _e, _n: ran(), probe=lambda _e: []) -> Gatekeeper:
        keepers.append(Gatekeeper(GuardStore(store.engine), run_golden, probe, clock=lambda: 50.0))
        return keepers[-1]

    yield start
    for keeper in keepers:
        keeper.close()


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def says(keeper: Gatekeeper, *waits_for: str) -> Callable[[], bool]:
    """Whether the gate waits for this, asked as the controller does: again and again, as time goes by quickly."""
    return lambda: keeper.waits_for(WITH_GOLDEN, 1, 100 * time.monotonic()) == list(waits_for)


def test_it_opens_when_the_backends_answer_and_the_golden_set_has_passed(keep: Keep, store: Store) -> None:
    keeper = keep()
    first = keeper.waits_for(WITH_GOLDEN, 1, 0.0)

    until(says(keeper))

    [stored] = GuardStore(store.engine).runs("support", 1)
    assert first == ["the backends have not been asked yet"]
    assert (stored.number, stored.at, stored.actor, stored.result) == (1, 50.0, "gate", "passed")
    assert stored.items == [{"id": "a", "control": "ok", "treatment": "ok"}]


def test_a_backend_that_is_not_there_is_named_and_no_golden_set_is_wasted_on_it(keep: Keep) -> None:
    answers = [["int4 does not answer"], []]
    sent: list[int] = []

    def golden(_experiment, number: int) -> Ran:
        sent.append(number)
        return ran()

    keeper = keep(golden, probe=lambda _e: answers[0])
    until(says(keeper, "int4 does not answer"))
    assert sent == []
    answers.pop(0)

    until(says(keeper))
    assert sent == [1]


def test_a_golden_set_that_fails_keeps_it_shut_and_is_not_sent_again_at_once(keep: Keep, store: Store) -> None:
    keeper = keep(lambda _e, _n: ran("failed"))

    until(says(keeper, "the golden set: It failed."))
    keeper.waits_for(WITH_GOLDEN, 1, 100 * time.monotonic())

    assert len(GuardStore(store.engine).runs("support", 1)) == 1


def test_whatever_is_raised_in_a_run_or_a_probe_is_told_and_tried_again(keep: Keep) -> None:
    trouble = [OSError("away"), OSError("away")]

    def stumble(*_: object) -> object:
        if trouble:
            raise trouble.pop()
        return ran()

    def probe(_experiment) -> list[str]:
        if len(trouble) == 2:
            raise trouble.pop()
        return []

    keeper = keep(stumble, probe)
    found: list[list[str]] = []
    clock = iter(range(10**6))
    until(lambda: found.append(keeper.waits_for(WITH_GOLDEN, 1, 20.0 * next(clock))) or found[-1] == [])

    assert ["the backends could not be asked: OSError"] in found


def test_a_running_experiment_is_run_again_on_schedule(keep: Keep, store: Store) -> None:
    guards = GuardStore(store.engine)
    guards.add_run(run(at=0.0))
    keeper = keep(lambda _e, n: ran("failed" if n == 2 else "passed"))

    keeper.run_again(WITH_GOLDEN, 1, 23 * HOUR)
    assert not keeper._golden
    keeper.run_again(WITH_GOLDEN, 1, 24 * HOUR)
    until(lambda: len(guards.runs("support", 1)) == 2)

    assert [(r.actor, r.result) for r in guards.runs("support", 1)] == [("gate", "passed"), ("schedule", "failed")]


def test_an_experiment_that_asks_for_nothing_waits_for_nothing(keep: Keep) -> None:
    free = make_experiment(gate=Gate(healthy=False))

    assert keep().waits_for(free, 1, 0.0) == []
