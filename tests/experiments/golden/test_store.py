"""Golden runs and gates in the store."""

import pytest
from sqlalchemy.exc import IntegrityError

from experiments.golden.store import Gate, GoldenRun, GuardStore
from experiments.store import Store


def run(number: int, experiment: str = "support", epoch: int = 1) -> GoldenRun:
    return GoldenRun(
        experiment=experiment, epoch=epoch, number=number, at=float(number), actor="gate", result="passed",
        summary="It passed.", verdict={"n": 3}, items=[{"id": "a"}],
    )  # fmt: skip


def test_the_runs_of_an_epoch_come_in_order_and_no_others(store: Store) -> None:
    guards = GuardStore(store.engine)
    for one in (run(2), run(1), run(1, epoch=2), run(1, experiment="other")):
        guards.add_run(one)

    assert guards.runs("support", 1) == [run(1), run(2)]


def test_a_number_is_given_once(store: Store) -> None:
    guards = GuardStore(store.engine)
    guards.add_run(run(1))

    with pytest.raises(IntegrityError):
        guards.add_run(run(1))


def test_a_gate_says_what_it_waits_for_until_it_waits_for_nothing(store: Store) -> None:
    guards = GuardStore(store.engine)
    guards.put_gate("support", 1, 5.0, ["int4 does not answer"])
    guards.put_gate("support", 1, 6.0, ["the golden set"])

    assert guards.gates() == {"support": Gate(experiment="support", epoch=1, at=6.0, waits_for=["the golden set"])}
    guards.put_gate("support", 1, 7.0, [])
    assert guards.gates() == {}
