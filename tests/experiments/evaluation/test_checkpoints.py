"""A checkpoint is a shortcut: what follows is the same with and without it, and a bad one is passed over."""

import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update
from tests_history import Life, good, live_through, living

from experiments.evaluation import checkpoints
from experiments.evaluation.checkpoints import CheckpointStore
from experiments.evaluation.evaluator import Evaluator
from experiments.replay import refold
from experiments.tables import CHECKPOINT


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        live_through(life, good, ticks=2)
        yield life


def folded(life: Life) -> Evaluator:
    evaluator = Evaluator(life.config.experiments["support"], 1)
    refold(life.store, evaluator)
    return evaluator


def test_a_state_that_was_kept_goes_on_as_the_one_that_was_not(life: Life) -> None:
    kept, store = folded(life), CheckpointStore(life.store.engine)
    store.save(kept)

    found = store.load("support", 1)

    assert found is not None
    assert found.looks == kept.looks
    looks = [
        msgspec.json.encode(evaluator.look(life.now + 60, 0, life.store.routes()[0].phase, [], [], []))
        for evaluator in (kept, found)
    ]
    assert looks[0] == looks[1]
    assert found.ledger.snapshot() == kept.ledger.snapshot()


def test_the_newest_takes_the_place_of_the_one_before_and_is_of_its_epoch_only(life: Life) -> None:
    evaluator, store = folded(life), CheckpointStore(life.store.engine)
    store.save(evaluator)
    evaluator.look(life.now + 60, 0, life.store.routes()[0].phase, [], [], [])
    store.save(evaluator)

    found = store.load("support", 1)
    assert found is not None
    assert found.looks == evaluator.looks
    assert store.load("support", 2) is None


def test_one_from_before_somebody_was_forgotten_is_passed_over(life: Life) -> None:
    store = CheckpointStore(life.store.engine)
    store.save(folded(life), forgotten=0)

    assert store.load("support", 1, forgotten=1) is None
    assert store.load("support", 1, forgotten=0) is not None


def test_one_of_other_code_is_passed_over(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(life.store.engine)
    store.save(folded(life))

    monkeypatch.setattr(checkpoints, "code_version", lambda: "another")

    assert store.load("support", 1) is None


class _Harmful:
    def __reduce__(self):
        return (print, ("this must not be run",))


@pytest.mark.parametrize(
    "state",
    [
        b"nonsense",
        zlib.compress(b"nonsense"),
        zlib.compress(pickle.dumps([1])),
        zlib.compress(pickle.dumps(_Harmful())),
    ],
)
def test_one_that_is_damaged_or_holds_anything_else_is_passed_over_and_nothing_in_it_is_run(
    life: Life, capsys: pytest.CaptureFixture[str], state: bytes
) -> None:
    store = CheckpointStore(life.store.engine)
    store.save(folded(life))
    with life.store.engine.begin() as connection:
        connection.execute(update(CHECKPOINT).values(state=state))

    assert store.load("support", 1) is None
    assert "this must not be run\n" not in capsys.readouterr().out
