"""MLflow for real, on its store of files (a database takes seconds to set up): an export is one run, which grows."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest
from tests_artifacts import shipment, written

from router.monitoring.mlflow import Shipment
from router.monitoring.senders import run_module

pytest.importorskip("mlflow", reason="needs the extra `mlflow` (mlflow-skinny)")
PARTS = ["looks/epoch_number=1/day=2026-11-25/part-00001.jsonl", "looks/epoch_number=1/day=2026-11-26/part-00001.jsonl"]
TWICE = """\
import sys, msgspec
from router.monitoring.artifacts import ArtifactShipment
from router.monitoring.mlflow_artifacts import send
for shipment in msgspec.json.decode(sys.stdin.buffer.read(), type=list[ArtifactShipment]):
    send(shipment)
"""


def test_logged_again_the_run_gets_the_new_part_and_the_new_manifest_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one process: MLflow takes seconds to start, too."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "twice.py").write_text(TWICE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    store, kept = tmp_path / "store", tmp_path / "kept"
    place = {
        "mlflow": Shipment(tracking_uri=store.as_uri(), experiment="ours", reports=[]),
        "artifact_location": kept.as_uri(),
    }
    before, after = written(tmp_path / "before", PARTS[:1]), written(tmp_path / "after", PARTS)
    (after / PARTS[0]).write_text("what is logged already is not logged again")
    sent = [shipment(before, PARTS[:1], **place), shipment(after, PARTS, **place)]

    run_module("twice", msgspec.json.encode(sent), 100.0, threading.Event())

    [run] = store.glob("*/*/tags")
    tags = {path.name: path.read_text() for path in run.iterdir()}
    assert tags["mlflow.runName"] == "support/export"
    assert (tags["touchstone.experiment"], tags["touchstone.epochs"]) == ("support", "1,2")
    assert tags["touchstone.decision"] == "promote"
    [export] = kept.glob("*/artifacts/export")
    logged = {path.relative_to(export).as_posix() for path in export.rglob("*") if path.is_file()}
    assert logged == {*PARTS, "manifest.json", "schema.json"}
    assert (export / PARTS[0]).read_text() == '{"seq": 1}\n'
    assert (export / "manifest.json").read_bytes() == (after / "manifest.json").read_bytes()
