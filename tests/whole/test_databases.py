"""The same life on both databases: what is decided, when, why and from which figures is the same to the last digit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests_history import CONFIG, Answer, Life, bad, good, live_through, living

from experiments.replay import replay

Story = list[tuple[object, ...]]


def story(folder: Path, database: str, answer: Answer) -> tuple[Story, Story, bool]:
    """Live through six ticks; returns the looks, what followed, and whether each look replays."""
    folder.mkdir()
    with living(folder, CONFIG.replace("sqlite:///touchstone.db", database)) as life:
        live_through(life, answer)
        return (
            _looks(life),
            _moves(life),
            all(look.same for look in replay(life.store, life.config.experiments["support"], 1)),
        )


def _looks(life: Life) -> Story:
    return [(look.number, look.at, look.stage, look.evidence, look.decision) for look in life.store.looks("support", 1)]


def _moves(life: Life) -> Story:
    return [
        (move.look, move.at, move.to_phase, move.to_stage, move.reason) for move in life.store.transitions("support")
    ]


@pytest.mark.postgres
@pytest.mark.parametrize(("answer", "ends"), [(good, "promoted"), (bad, "rolled_back")])
def test_on_postgresql_an_experiment_goes_as_it_does_on_sqlite(
    tmp_path: Path, postgres_url: str, answer: Answer, ends: str
) -> None:
    there = story(tmp_path / "postgresql", postgres_url, answer)
    here = story(tmp_path / "sqlite", "sqlite:///touchstone.db", answer)

    assert there == here
    assert here[1][-1][2] == ends
    assert (bool(here[0]), here[2]) == (True, True)
