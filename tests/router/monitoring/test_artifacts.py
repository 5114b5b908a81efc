"""What is sent of an export, where to, and what is said before anything is written if it cannot go there."""

from pathlib import Path

import pytest
from tests_artifacts import shipment, written
from tests_history import CONFIG, live_through, living, write_config

from experiments.config import Config, load
from experiments.exporting.export import Export
from router.monitoring.artifacts import note_of, size_bytes, target_of
from router.monitoring.senders import SendError

MLFLOW = '[router.monitoring]\nmlflow_tracking_uri = "sqlite:///m.db"\n'


def config(folder: Path, more: str = "") -> Config:
    return load(write_config(folder, CONFIG + more), {})


def test_a_target_that_is_unknown_or_not_configured_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra `mlflow` (mlflow-skinny)")
    with pytest.raises(SendError, match=r"^'s3' is no target: mlflow or wandb$"):
        target_of(config(tmp_path), "s3")
    with pytest.raises(SendError, match=r"^--to wandb needs wandb_project in \[router.monitoring\] of .*config.toml$"):
        target_of(config(tmp_path, MLFLOW), "wandb")


def test_what_is_sent_is_what_the_manifest_names_with_where_the_experiment_is(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra `mlflow` (mlflow-skinny)")
    with living(tmp_path, CONFIG + MLFLOW) as life:
        live_through(life, ticks=2, users=5)
        made = Export(life.store.engine, "support", tmp_path / "out", "jsonl")
        rows = sum(made.run())
        note = note_of(life.store, made.manifest)
        sent = target_of(life.config, "mlflow")(tmp_path / "out", made.manifest, note)

    assert note.tags == {
        "touchstone.export": made.manifest.export_id,
        "touchstone.experiment": "support",
        "touchstone.epochs": "1",
        "touchstone.phase": "running",
        "touchstone.decision": "hold",
        "touchstone.kind": "jsonl",
        "touchstone.texts": "false",
        "touchstone.rows": str(rows),
    }
    there = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json*")}
    assert there == {*sent.parts, *sent.notes}
    assert sent.notes[-1] == "manifest.json"
    assert sent.mlflow is not None
    assert sent.mlflow.tracking_uri == f"sqlite:///{tmp_path}/m.db"
    assert sent.artifact_location == (tmp_path / "mlartifacts").as_uri()


def test_its_size_is_that_of_its_files(tmp_path: Path) -> None:
    folder = written(tmp_path, ["looks/part-00001.jsonl"])

    sent = shipment(folder, ["looks/part-00001.jsonl"])

    assert size_bytes(sent) == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
