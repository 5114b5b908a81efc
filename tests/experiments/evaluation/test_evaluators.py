"""The states between looks: what a controller goes on with is the same whether it was kept, restored or folded anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from tests_history import Life, good, live_through, living

from experiments.evaluation import evaluators
from experiments.evaluation.evaluators import Evaluators
from experiments.replay import replay
from experiments.tables import CHECKPOINT


@pytest.fixture(name="life")
def _life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    monkeypatch.setattr(evaluators, "EVERY_LOOKS", 2)
    with living(tmp_path) as life:
        yield life


def snapshot(life: Life) -> tuple:
    taken = Evaluators(life.store)
    taken.begin()
    folded = taken.take(life.config.experiments["support"], 1)
    return folded.evaluator.looks, folded.seen, folded.evaluator.ledger.snapshot()


def test_a_restart_from_a_checkpoint_is_where_one_from_the_start_would_be(life: Life) -> None:
    live_through(life, good, ticks=3)
    restored = snapshot(life)
    with life.store.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(CHECKPOINT)).scalar_one() == 1
        connection.execute(CHECKPOINT.delete())

    assert snapshot(life) == restored


def test_a_restart_reads_only_what_came_after_the_checkpoint(life: Life) -> None:
    live_through(life, good, ticks=3)
    read: list[str] = []

    def note(_connection, _cursor, statement, parameters, *_) -> None:
        if "FROM exchange" in statement:
            read.append(str(parameters))

    event.listen(life.store.engine, "before_cursor_execute", note)
    snapshot(life)
    event.remove(life.store.engine, "before_cursor_execute", note)

    assert len(read) == 1, "of three looks, the last one"


def test_a_checkpoint_without_its_look_is_not_gone_on_from(life: Life) -> None:
    live_through(life, good, ticks=2)
    before = snapshot(life)
    with life.store.engine.begin() as connection:
        connection.execute(CHECKPOINT.update().values(look=99))

    assert snapshot(life) == before


def test_what_a_controller_decides_after_restarts_from_checkpoints_replays_to_the_last_bit(life: Life) -> None:
    for number in range(4):
        life.start()
        life.serve(number * 40, number * 40 + 40, good)
        life.tick()
        life.restart()

    looks = list(replay(life.store, life.config.experiments["support"], 1))
    assert len(looks) >= 3
    assert all(look.same for look in looks)
