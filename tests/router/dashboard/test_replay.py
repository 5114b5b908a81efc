"""The page of a replay: every look again, and what came out otherwise is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from tests_history import START, Life, bad, live_through, living

from experiments.showing.reader import Showing
from experiments.tables import OUTCOME
from router.dashboard import replay
from router.dashboard.replay import replay_page


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        live_through(life, bad)
        yield life


def page(life: Life) -> dict:
    return replay_page(life.store, Showing(life.store, life.config).standing("support"))


def test_every_look_comes_out_the_same_and_those_that_acted_are_told_with_their_reasons(life: Life) -> None:
    shown = page(life)

    assert shown["same"] == shown["looks"] > 0
    [rollback] = shown["told"]
    assert (rollback.stored, rollback.recomputed, rollback.is_same) == ("rolled back", "rolled back", True)
    assert "worse than the tolerated" in rollback.reasons[0]


def test_a_row_that_was_changed_shows_as_a_look_that_comes_out_otherwise(life: Life) -> None:
    with life.store.engine.begin() as connection:
        connection.execute(update(OUTCOME).values(value=0.0, treatment_value=1.0))

    shown = page(life)

    assert shown["same"] < shown["looks"]
    assert not all(look.is_same for look in shown["told"])


def test_more_looks_than_a_page_can_wait_for_are_left_to_the_command(life: Life, monkeypatch) -> None:
    monkeypatch.setattr(replay, "MOST_LOOKS", 1)

    assert (page(life)["told"], page(life)["looks"] > 1) == ([], True)


def test_before_the_first_look_there_is_nothing_to_recompute(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.controller.start(START)
        assert page(life)["looks"] == 0
