"""An export -> an artifact of MLflow (extra `mlflow`): one run an export, which gets what is new of it.

Run as a process of its own, `python -m router.monitoring.mlflow_artifacts`, with an `ArtifactShipment` on its standard
input.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from experiments.exporting.manifest import MANIFEST, read_manifest
from router.monitoring.artifacts import ArtifactShipment

ARTIFACT = "export"
"""Folder of the run's artifacts."""


def send(shipment: ArtifactShipment) -> None:
    """Log what the run of this export has not yet.

    Raises:
        Exception: MLflow's own, if its store is away or refuses.
    """
    from mlflow.tracking import MlflowClient  # noqa: PLC0415  # takes seconds, and is an extra

    place = shipment.mlflow
    if place is None:
        raise ValueError("the shipment is for another target")
    client = MlflowClient(tracking_uri=place.tracking_uri)
    found = client.get_experiment_by_name(place.experiment)
    experiment_id = (
        found.experiment_id
        if found is not None
        else client.create_experiment(place.experiment, artifact_location=shipment.artifact_location)
    )
    run_id = _run_of(client, experiment_id, shipment)
    there = _there(client, run_id)
    for name in shipment.parts:
        if name not in there:
            _log(client, run_id, shipment, name)
    for name in shipment.notes:  # the manifest last: what it names is there
        _log(client, run_id, shipment, name)
    for key, value in shipment.note.tags.items():
        client.set_tag(run_id, key, value)
    client.set_terminated(run_id)


def _run_of(client: Any, experiment_id: str, shipment: ArtifactShipment) -> str:
    """Return the id of the export's run; made if there is none."""
    wanted = f"tags.`touchstone.export` = '{shipment.note.export_id}'"
    there = client.search_runs([experiment_id], filter_string=wanted, max_results=1)
    run = there[0] if there else client.create_run(experiment_id, tags=shipment.note.tags, run_name=shipment.note.name)
    return str(run.info.run_id)


def _there(client: Any, run_id: str) -> frozenset[str]:
    """Return the parts that are logged already: those of the manifest that was logged after them."""
    if not any(file.path == f"{ARTIFACT}/{MANIFEST}" for file in client.list_artifacts(run_id, ARTIFACT)):
        return frozenset()
    with TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(run_id, f"{ARTIFACT}/{MANIFEST}", folder))
        known = read_manifest(path.parent)
    return frozenset(part.file for table in known.tables.values() for part in table.parts)


def _log(client: Any, run_id: str, shipment: ArtifactShipment, name: str) -> None:
    parent = name.rpartition("/")[0]
    path = Path(shipment.folder) / name
    client.log_artifact(run_id, str(path), artifact_path=f"{ARTIFACT}/{parent}" if parent else ARTIFACT)


if __name__ == "__main__":
    send(msgspec.json.decode(sys.stdin.buffer.read(), type=ArtifactShipment))
