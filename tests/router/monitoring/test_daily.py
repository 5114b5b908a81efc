"""Every hour, in a thread of its own: each day is sent once it has changed, and what failed is sent later."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests_history import living, write_config

from experiments.config import load
from experiments.scoring.daily import DailyStore
from experiments.store import Outcome, Store, open_store
from router.monitoring.daily import DailyMonitor
from router.monitoring.report import DayReport, Report
from router.monitoring.senders import Sender, SendError

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0


class Target(Sender):
    """A target in memory, in place of a process: it keeps what it was sent, and fails while it is told to."""

    sent: list[list[str]]
    fails: bool

    def send(self, reports: Sequence[Report], *_: object, **__: object) -> None:
        if self.fails:
            raise SendError("away")
        self.sent.append([report.day if isinstance(report, DayReport) else report.name for report in reports])


@pytest.fixture(name="target")
def _target() -> Target:
    made = Target("target", lambda _: pytest.fail("it is sent as it is"))
    made.sent, made.fails = [], False
    return made


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Any:
    store = open_store(f"sqlite:///{tmp_path / 'touchstone.db'}")
    store.migrate()
    yield store
    store.close()


def served(store: Store, at: float) -> None:
    made = Outcome(
        pair=f"p{at}", metric="agreement", scorer="agreement/1", experiment="support", epoch=1, stage=0, unit="u",
        at=at, slices={}, control_value=1.0, treatment_value=0.0, value=-1.0,
    )  # fmt: skip
    store.save_outcomes([made], [])


def monitor(folder: Path, store: Store, target: Target, leads: bool = True) -> DailyMonitor:
    return DailyMonitor(load(write_config(folder)), store, lambda: leads, [target])


def test_today_and_yesterday_are_computed_and_sent_once_an_hour(tmp_path: Path, store: Store, target: Target) -> None:
    served(store, NOON - DAY)
    served(store, NOON)
    daily = monitor(tmp_path, store, target)

    daily.tick(NOON)
    daily.tick(NOON + 10)
    assert target.sent == [["2026-03-09", "2026-03-10"]]

    served(store, NOON - DAY + 1)  # a pair of yesterday that was judged late
    daily.tick(NOON + HOUR)
    assert len(target.sent) == 2
    assert {row.pairs for row in DailyStore(store.engine).read("2026-03-09")} == {2}


def test_what_a_target_did_not_take_is_sent_later(tmp_path: Path, store: Store, target: Target) -> None:
    served(store, NOON)
    daily = monitor(tmp_path, store, target)
    target.fails = True
    daily.tick(NOON)
    target.fails = False

    daily.tick(NOON + 10)
    assert target.sent == []
    daily.tick(NOON + 301)

    assert target.sent == [["2026-03-10"]]


def test_after_a_standstill_the_days_since_are_made_up_for(tmp_path: Path, store: Store, target: Target) -> None:
    served(store, NOON - 4 * DAY)
    DailyStore(store.engine).compute("support", "2026-03-06")
    for days in (1, 2, 3):
        served(store, NOON - days * DAY)

    monitor(tmp_path, store, target).tick(NOON)

    assert target.sent == [["2026-03-06", "2026-03-07", "2026-03-08", "2026-03-09"]]


def test_a_move_of_an_experiment_is_told_at_the_next_tick_and_again_later_if_nobody_took_it(
    tmp_path: Path, target: Target
) -> None:
    with living(tmp_path) as life:
        life.store.migrate()
        daily = DailyMonitor(life.config, life.store, lambda: True, [target])
        daily.tick(NOON)
        life.start()
        target.fails = True
        daily.tick(NOON + 10)
        target.fails = False
        daily.tick(NOON + 20)
        assert target.sent == []
        daily.tick(NOON + 311)
        daily.tick(NOON + 320)

    assert target.sent == [["support/1"]]


def test_who_does_not_lead_computes_and_sends_nothing(tmp_path: Path, store: Store, target: Target) -> None:
    served(store, NOON)

    monitor(tmp_path, store, target, leads=False).tick(NOON)

    assert target.sent == []
    assert DailyStore(store.engine).read("2026-03-10") == []


def test_it_runs_beside_the_controller_and_outlives_a_store_without_tables(tmp_path: Path, target: Target) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    with DailyMonitor(load(write_config(tmp_path)), store, lambda: True, [target], wake_s=0.01) as daily:
        time.sleep(0.05)
        store.migrate()
        served(store, time.time())
        until = time.monotonic() + 10
        while not target.sent:
            assert time.monotonic() < until
            time.sleep(0.01)
    store.close()

    assert not daily.is_running
