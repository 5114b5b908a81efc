"""While recording is shed the experiment is held: nothing is promoted or advanced, and harm still rolls back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_history import Life, bad, good, living

from experiments.evidence import Action, Code, Decision, Shed
from experiments.explain import sentence
from experiments.replay import replay
from router.journal import Journal


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        life.start()
        yield life


def shed_some(life: Life) -> Journal:
    """Start the journal of a proxy that finds its folder full, and let it shed three records."""
    journal = Journal(life.journal, limit_bytes=0)
    journal.start()
    [exchange] = life.serve(9_000, 9_001)[:1]
    assert not any(journal.append(exchange) for _ in range(3))
    deadline = time.monotonic() + 5
    while not any(b'"shed":3' in path.read_bytes() for path in life.journal.glob("*.status")):
        assert time.monotonic() < deadline, "the counters are published once a second"
        time.sleep(0.02)
    return journal


def decided(life: Life, first: int, answer=good) -> Decision:
    life.serve(first, first + 100, answer)
    [decision] = life.tick()
    return decision


def test_the_ramp_stands_still_while_recording_is_shed_and_goes_on_afterwards(life: Life) -> None:
    journal = shed_some(life)
    held = decided(life, 0)
    still_held = decided(life, 100)
    journal.close()
    [last] = life.tick()

    assert (held.action, still_held.action) == (Action.HOLD, Action.HOLD)
    reason = held.reasons[0]
    assert (reason.code, reason.units) == (Code.RECORDING_SHED, 3)
    assert sentence(reason) == (
        "the journal's disk or folder is full, so not everything was recorded "
        "(3 records were lost since the last look): the split will not rise"
    )
    assert last.action is Action.ADVANCE


def test_harm_rolls_back_though_recording_is_shed(life: Life) -> None:
    journal = shed_some(life)
    decision = decided(life, 0, bad)
    journal.close()

    assert decision.action is Action.ROLLBACK
    assert life.store.latest_look("support", 1).evidence.shed.now


def test_what_was_shed_is_stored_with_the_look_and_replays_the_same(life: Life) -> None:
    journal = shed_some(life)
    decided(life, 0)
    journal.close()
    life.tick()

    found = list(replay(life.store, life.config.experiments["support"], 1))

    assert [look.stored.evidence.shed for look in found] == [Shed(now=True, records=3), Shed()]
    assert [look.decision.action for look in found] == [Action.HOLD, Action.ADVANCE]
    assert all(look.same for look in found)


def test_a_controller_that_starts_anew_takes_up_the_same_evidence(life: Life) -> None:
    journal = shed_some(life)
    decided(life, 0)
    journal.close()
    before = life.store.looks("support", 1)

    life.restart()
    life.start()

    assert life.store.looks("support", 1) == before
    assert life.controller._evaluators._kept["support"].evaluator.looks == 1
