"""Each move of a real experiment and each golden run is news once; after a change of the lead, all of it again."""

from __future__ import annotations

from pathlib import Path

from tests_history import bad, live_through, living

from experiments.golden.store import GoldenRun, GuardStore
from experiments.model import Phase
from experiments.operating import Command, operate
from router.monitoring.watch import RunWatch


def golden(number: int, at: float) -> GoldenRun:
    return GoldenRun(
        experiment="support", epoch=1, number=number, at=at, actor="schedule", result="passed", summary="Passed."
    )


def test_a_rollback_is_told_once_with_its_reasons_and_the_configuration(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        watch = RunWatch(life.store, life.config.experiments)
        [first] = watch.news()
        assert (first.name, first.words, first.ended_at) == ("support/1", ["phase:running", "decision:by_config"], None)
        assert watch.news() == []

        for number in range(6):
            life.serve(number * 60, (number + 1) * 60, bad)
            life.tick()
        *_, last = watch.news()
        epoch = life.store.latest_epoch("support")

    assert epoch is not None
    assert last.tags["touchstone.phase"] == "rolled_back"
    assert last.tags["touchstone.decision"] == "rollback"
    assert "harm(agreement)" in last.tags["touchstone.reason"]
    assert (last.tags["touchstone.config_hash"], last.tags["touchstone.epoch"]) == (epoch.config_hash, "1")
    assert last.figures == {"split_percent": 0.0, "stage": 0.0}
    assert last.ended_at is not None


def test_of_what_a_person_said_only_that_it_was_one_is_told(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        experiment = life.config.experiments["support"]
        order = {"actor": "cli:ann", "reason": "Ms Miller complained", "now": life.now}
        operate(life.store, experiment, Command.PAUSE, **order)

        [report] = RunWatch(life.store, ["support"]).news()

    assert (report.tags["touchstone.decision"], report.tags["touchstone.decided_by"]) == ("by_hand", "person")
    assert report.tags["touchstone.reason"] == f"{Phase.RUNNING.value} -> {Phase.PAUSED.value}"
    assert not any("Miller" in value or "ann" in value for value in report.tags.values())


def test_a_golden_run_is_told_when_it_comes_and_all_are_told_anew_after_forgetting(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, ticks=1, users=2)
        guards, watch = GuardStore(life.store.engine), RunWatch(life.store, ["support", "never started"])
        watch.news()

        guards.add_run(golden(1, life.now))
        assert [report.name for report in watch.news()] == ["support/1/golden-1"]
        guards.add_run(golden(2, life.now))
        assert [report.name for report in watch.news()] == ["support/1/golden-2"]
        assert watch.news() == []

        watch.forget()
        assert [report.name for report in watch.news()] == ["support/1", "support/1/golden-1", "support/1/golden-2"]
