"""Weights & Biases for real, offline, by the command: the run has the artifact with all that the manifest names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests_commandline import touchstone
from tests_history import CONFIG, living

from router.monitoring.wandb_artifacts import artifact_name

MONITORING = '[router.monitoring]\nwandb_project = "ours"\nwandb_folder = "runs"\n'


def test_an_export_is_an_artifact_of_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs the extra `wandb`")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    with living(tmp_path, CONFIG + MONITORING) as life:
        life.start()
        life.serve(0, 4)
        life.tick()

    done = touchstone("export", "support", "-o", tmp_path / "out", "--to", "wandb", "-c", tmp_path / "config.toml")

    assert done.exit_code == 0
    assert done.stdout.endswith("logged to wandb: run support/export, 34 rows\n")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    parts = [part["file"] for table in manifest["tables"].values() for part in table["parts"]]
    [run] = (tmp_path / "runs" / "wandb").glob("offline-run-*/run-*.wandb")
    content = run.read_bytes()
    for said in (*parts, "manifest.json", "schema.json", "support-export", "touchstone.epochs", "decision:hold"):
        assert said.encode() in content, said


def test_a_name_has_only_what_wandb_allows() -> None:
    assert artifact_name("support int4/ü") == "support_int4__-export"
