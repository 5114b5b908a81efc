"""MLflow for real, on a SQLite store: a run for each day, golden run and experiment, brought up to date in place."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from router.monitoring.mlflow import Shipment
from router.monitoring.report import DayReport, RunReport
from router.monitoring.senders import run_module

pytest.importorskip("mlflow", reason="needs the extra `mlflow` (mlflow-skinny)")
FIGURE = "quality/language.hi/treatment/mean"


def report(day: str, mean: float) -> DayReport:
    return DayReport(experiment="support", epoch=1, day=day, figures={FIGURE: mean})


def standing(phase: str, decision: str, ended_at: float | None) -> RunReport:
    tags = {"touchstone.phase": phase, "touchstone.decision": decision, "touchstone.candidate": ""}
    return RunReport(kind="standing", name="support/1", started_at=1.7e9, ended_at=ended_at, tags=tags)


GOLDEN = RunReport(
    kind="golden", name="support/1/golden-2", started_at=1.7e9, ended_at=1.7e9, figures={"losses": 8.0},
    tags={"touchstone.golden_result": "failed"}, files={"golden-by-tag.csv": "tag,n\nhi,7\n"},
)  # fmt: skip


def test_a_day_has_one_run_however_often_it_is_sent(tmp_path: Path) -> None:
    """Read from MLflow's own tables: a second process of MLflow would take as long again."""
    database, first, second = tmp_path / "mlflow.db", "2026-03-01", "2026-03-02"
    sent = [report(first, 0.8), report(first, 0.8), report(second, 0.9), report(first, 0.7)]
    moves = [standing("running", "none", None), GOLDEN, GOLDEN, standing("rolled_back", "rollback", 1.8e9)]
    shipment = Shipment(
        tracking_uri=f"sqlite:///{database}",
        experiment="ours",
        artifact_location=(tmp_path / "kept").as_uri(),
        reports=[*sent, *moves],
    )

    run_module("router.monitoring.mlflow", msgspec.json.encode(shipment), 100.0, threading.Event())

    with closing(sqlite3.connect(database)) as connection:

        def rows(query: str) -> list[Any]:
            return connection.execute(query).fetchall()

        runs = rows("SELECT r.name, status, key, value FROM runs r JOIN latest_metrics USING (run_uuid) ORDER BY 1")
        history = rows("SELECT value FROM metrics JOIN runs r USING (run_uuid) WHERE r.name LIKE '%-01' ORDER BY 1")
        [tags] = rows("SELECT count(*) FROM tags WHERE key = 'touchstone.experiment' AND value = 'support'")
        named = rows("SELECT name FROM experiments WHERE experiment_id IN (SELECT experiment_id FROM runs)")
        moved = rows("SELECT key, value, status FROM tags JOIN runs r USING (run_uuid) WHERE r.name = 'support/1'")
        golden = rows("SELECT artifact_uri, status FROM runs WHERE name = 'support/1/golden-2'")
    assert runs == [
        (f"support/1/{first}", "FINISHED", FIGURE, 0.7),
        (f"support/1/{second}", "FINISHED", FIGURE, 0.9),
        ("support/1/golden-2", "FINISHED", "losses", 8.0),
    ]
    assert history == [(0.7,), (0.8,)], "the second time it was sent, nothing had changed"
    assert (tags, named) == ((2,), [("ours",)])
    assert ("touchstone.decision", "rollback", "FINISHED") in moved
    assert ("touchstone.phase", "rolled_back", "FINISHED") in moved
    [(kept, status)] = golden
    assert status == "FINISHED"
    assert (Path(kept.removeprefix("file://")) / "golden-by-tag.csv").read_text() == "tag,n\nhi,7\n"
