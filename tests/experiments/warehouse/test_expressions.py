"""The expressions count what the ledger counts, row for row, on histories that are meant to be difficult."""

from pathlib import Path

import pytest
from tests_rows import assert_same, experiment, gathered, history

from experiments.warehouse.expressions import PLACES, place


@pytest.mark.parametrize(("seed", "cap", "settle_s"), [(1, 3, 5.0), (2, 2, 60.0)])
def test_they_agree_with_the_ledger_look_by_look_and_all_at_once(
    tmp_path: Path, seed: int, cap: int, settle_s: float
) -> None:
    rows = history(seed, experiment(cap=cap, settle_s=settle_s))
    folder = rows.write(tmp_path)

    with gathered(folder, rows) as state:
        assert_same(state, rows.ledger())
    with gathered(folder, rows, at_once=True) as state:
        assert_same(state, rows.ledger(at_once=True))


def test_the_history_has_what_makes_it_difficult() -> None:
    """Else the agreement would show little: units that come back, caps, late judges, failures, many values."""
    rows = history(2, experiment(cap=3, settle_s=5.0))
    looked, at_once = rows.ledger(), rows.ledger(at_once=True)

    assert sum(c.pairs for c in looked.pair_counts.values()) != sum(c.pairs for c in at_once.pair_counts.values())
    assert any(outcome.scored_at for outcome in rows.outcomes)
    assert looked.failed.total() > 0
    assert looked.answered["complaint"]
    assert sum(map(len, looked.events.values())) > 3
    assert "plan=other" in {key.slice for key in at_once.differences}


def test_a_place_is_packed_below_its_order() -> None:
    stage, split, arm = 127, 10_000, 1

    assert place(stage * 2**15 + split * 2 + arm) == (stage, split, arm)
    assert stage * 2**15 + split * 2 + arm < PLACES
