"""Weights & Biases for real, offline: a folder for each day and golden run, written anew in its place."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from router.monitoring.report import DayReport, RunReport
from router.monitoring.senders import run_module
from router.monitoring.wandb import Shipment, run_id

pytest.importorskip("wandb", reason="needs the extra `wandb`")


def report(mean: float) -> DayReport:
    figures = {"quality/language.hi/treatment/mean": mean}
    return DayReport(experiment="support", epoch=1, day="2026-03-01", figures=figures)


GOLDEN = RunReport(
    kind="golden", name="support/1/golden-2", started_at=1.7e9, ended_at=1.7e9, figures={"losses": 8.0},
    tags={"touchstone.golden_result": "failed"}, words=["golden:failed"], files={"golden-by-tag.csv": "tag,n\nhi,7\n"},
)  # fmt: skip


def test_a_day_has_one_folder_with_its_newest_figures_beside_the_one_that_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    day = run_id(report(0.8))
    synced, old = (tmp_path / "wandb" / f"offline-run-2026030{n}_000000-{day}" for n in (1, 2))
    synced.mkdir(parents=True)
    (synced / f"run-{day}.wandb.synced").touch()
    old.mkdir()
    shipment = Shipment(project="ours", mode="offline", folder=str(tmp_path), reports=[report(0.85), GOLDEN])

    run_module("router.monitoring.wandb", msgspec.json.encode(shipment), 100.0, threading.Event())

    _, new = sorted(folder for folder in (tmp_path / "wandb").glob(f"offline-run-*-{day}"))
    [run] = new.glob("run-*.wandb")
    content = run.read_bytes()
    assert synced.is_dir()
    assert not old.exists()
    assert all(said in content for said in (b"quality/language.hi/treatment/mean", b"0.85", b"support/1/2026-03-01"))
    [golden] = (tmp_path / "wandb").glob(f"offline-run-*-{run_id(GOLDEN)}/run-*.wandb")
    for said in (b"support/1/golden-2", b"golden:failed", b"golden-by-tag.csv", b"touchstone.golden_result"):
        assert said in golden.read_bytes(), said
