"""How an experiment stands is on the page that Prometheus reads, and moves as the experiment does."""

from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs
from tests_history import bad, live_through, living

from experiments.golden.store import GoldenRun, GuardStore
from router.admin.experiment_figures import EXPERIMENT_FAMILIES, ExperimentFigures
from router.telemetry.metrics_files import Series


def holding(found: Series, name: str) -> set[tuple[str, ...]]:
    """Return the labels of the series of a family that say 1."""
    return {labels for labels, [value] in found[name].items() if value == 1}


def test_what_is_running_is_told_with_the_age_of_its_newest_look(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, ticks=2, users=10)
        figures = ExperimentFigures(life.store, life.config, lambda: life.now + 30)
        found = figures.read()

        assert holding(found, "touchstone_experiment_phase") == {("support", "running")}
        assert len(found["touchstone_experiment_phase"]) == 7
        assert holding(found, "touchstone_experiment_action") == {("support", "hold")}
        assert ("support", "too_few_units") in found["touchstone_experiment_reason"]
        assert found["touchstone_experiment_look_age_seconds"] == {("support",): [30]}
        assert found["touchstone_experiment_split_ratio"] == {("support",): [0.1]}
        assert found["touchstone_experiment_units"] == {("support",): [20]}
        assert {value for [value] in found["touchstone_experiment_split_alarm"].values()} == {0}
        verdicts = holding(found, "touchstone_experiment_verdict")
        assert ("support", "agreement", "paired", "insufficient") in verdicts
        assert "touchstone_golden_result" not in found


def test_harm_is_told_as_a_rollback_and_as_a_verdict(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, bad, ticks=6, users=60)
        found = ExperimentFigures(life.store, life.config).read()

    assert holding(found, "touchstone_experiment_phase") == {("support", "rolled_back")}
    assert ("support", "agreement", "paired", "harm") in holding(found, "touchstone_experiment_verdict")


def test_the_newest_golden_run_is_told(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        for number, result in enumerate(("passed", "failed"), start=1):
            GuardStore(life.store.engine).add_run(
                GoldenRun(
                    experiment="support", epoch=1, number=number, at=life.now, actor="cli", result=result, summary=""
                )
            )
        found = ExperimentFigures(life.store, life.config, lambda: life.now + 5).read()

    assert holding(found, "touchstone_golden_result") == {("support", "failed")}
    assert found["touchstone_golden_age_seconds"] == {("support",): [5]}
    # No look yet: its age is that of the epoch, so that a controller that never looks is seen.
    assert found["touchstone_experiment_look_age_seconds"] == {("support",): [5]}


def test_what_is_saved_has_its_interval_and_each_series_the_labels_of_its_family(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        live_through(life, ticks=4, users=40)
        found = ExperimentFigures(life.store, life.config).read()

    saved = found["touchstone_saving_usd_per_day"]
    assert set(saved) == {("support", bound) for bound in ("estimate", "lower", "upper")}
    assert 0 < saved["support", "lower"][0] <= saved["support", "estimate"][0] <= saved["support", "upper"][0]
    labels = {family.name: len(family.labels) for family in EXPERIMENT_FAMILIES}
    assert {name for name, rows in found.items() for row in rows if len(row) != labels[name]} == set()


def test_what_cannot_be_read_costs_its_own_figures_only_and_is_told_once(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        odd = GoldenRun(experiment="support", epoch=1, number=1, at=life.now, actor="gate", result="odd", summary="")
        GuardStore(life.store.engine).add_run(odd)
        figures = ExperimentFigures(life.store, life.config)
        with capture_logs() as logs:
            found = [figures.read() for _ in range(2)][-1]

    assert holding(found, "touchstone_experiment_phase") == {("support", "running")}
    assert "touchstone_golden_result" not in found
    assert [log["event"] for log in logs] == ["experiment_figures_unreadable"]
