"""Flags are read from a real store as often as is said, and the last good ones outlive it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from tests_history import Life, living

from experiments.interop.flag_source import FlagSource


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


def test_the_last_good_flags_hold_while_the_store_is_away_and_none_before_the_first(life: Life) -> None:
    now = [0.0]
    source = FlagSource(life.config.experiments, life.store.routes, poll_s=1.0, clock=lambda: now[0])
    with pytest.raises(OperationalError):
        source.current()
    life.start()
    first = source.current()
    assert first.evaluate("support", "user-1").phase == "running"

    file = life.config.path.parent / "touchstone.db"
    away = file.rename(file.with_suffix(".away"))
    file.mkdir()
    life.store.engine.dispose()
    now[0] = 2.0
    assert source.current() is first
    with pytest.raises(OperationalError):
        source.refresh()

    file.rmdir()
    away.rename(file)
    assert (source.refresh(), source.flags) == (False, first), "nothing has changed"


def test_a_route_that_changed_is_seen_after_the_poll_and_not_before(life: Life) -> None:
    now = [0.0]
    source = FlagSource(life.config.experiments, life.store.routes, poll_s=1.0, clock=lambda: now[0])
    life.start()
    before = source.current()

    life.serve(0, 200)
    life.tick()
    life.tick()
    assert life.store.routes()[0].stage == 1
    now[0] = 0.9
    assert source.current() is before
    now[0] = 1.0
    assert source.current().evaluate("support", "user-1").stage == 1
