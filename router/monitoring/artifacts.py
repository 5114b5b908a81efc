"""An export as an artifact of MLflow or Weights & Biases: what is sent and where to; a process of its own sends it.

What is logged is what the manifest names: its part files, `schema.json`, and the manifest last. An export has one run,
found by the export's own id; logged again after the export was added to, the run gets what is new.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from experiments.config.records import Config
from experiments.exporting.export import SCHEMA
from experiments.exporting.manifest import MANIFEST, Manifest
from experiments.store import Store
from router.monitoring.mlflow import Shipment as MlflowShipment
from router.monitoring.senders import SendError, run_module, senders
from router.monitoring.wandb import Shipment as WandbShipment

Target = Literal["mlflow", "wandb"]
LIMIT_S = 3600.0
_SETTINGS = {"mlflow": "mlflow_tracking_uri", "wandb": "wandb_project"}


class ExportNote(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact is of."""

    export_id: str
    experiment: str
    epochs: list[int]
    phase: str
    """Where the experiment is now."""
    decision: str
    """What the newest look decided; `none` before the first."""
    kind: str
    texts: bool
    rows: int
    """Of all tables."""

    @property
    def name(self) -> str:
        """Of the run."""
        return f"{self.experiment}/export"

    @property
    def tags(self) -> dict[str, str]:
        """Return it as tags."""
        return {
            "touchstone.export": self.export_id,
            "touchstone.experiment": self.experiment,
            "touchstone.epochs": ",".join(map(str, self.epochs)),
            "touchstone.phase": self.phase,
            "touchstone.decision": self.decision,
            "touchstone.kind": self.kind,
            "touchstone.texts": str(self.texts).lower(),
            "touchstone.rows": str(self.rows),
        }


class ArtifactShipment(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, and where to."""

    folder: str
    """Of the export."""
    parts: list[str]
    """Files that never change, relative to the folder."""
    notes: list[str]
    """Files that do, the manifest last."""
    note: ExportNote
    mlflow: MlflowShipment | None = None
    """Where MLflow is; without reports."""
    artifact_location: str | None = None
    """Where an experiment of MLflow that has to be made keeps its artifacts; its server's own place if None."""
    wandb: WandbShipment | None = None
    """Where Weights & Biases is; without reports."""


def target_of(config: Config, name: str) -> Callable[[Path, Manifest, ExportNote], ArtifactShipment]:
    """Return what packs an export for a target, or say why it cannot go there, before anything is written.

    Raises:
        SendError: There is no such target, or it is not configured. (That its library is there, `load` has checked.)
    """
    if name not in _SETTINGS:
        raise SendError(f"{name!r} is no target: mlflow or wandb")
    place = next((sender.shipment([]) for sender in senders(config) if sender.name == name), None)
    if place is None:
        raise SendError(f"--to {name} needs {_SETTINGS[name]} in [router.monitoring] of {config.path}")

    def pack(folder: Path, manifest: Manifest, note: ExportNote) -> ArtifactShipment:
        return ArtifactShipment(
            folder=str(folder.absolute()),
            parts=[part.file for table in manifest.tables.values() for part in table.parts],
            notes=[SCHEMA, MANIFEST],
            note=note,
            mlflow=place if isinstance(place, MlflowShipment) else None,
            artifact_location=place.artifact_location if isinstance(place, MlflowShipment) else None,
            wandb=place if isinstance(place, WandbShipment) else None,
        )

    return pack


def note_of(store: Store, manifest: Manifest) -> ExportNote:
    """Return what an export is of, with where its experiment is now."""
    state = store.route_states().get(manifest.experiment)
    epochs = [epoch.number for epoch in manifest.epochs]
    look = store.latest_look(manifest.experiment, epochs[-1]) if epochs else None
    return ExportNote(
        export_id=manifest.export_id,
        experiment=manifest.experiment,
        epochs=epochs,
        phase=state.route.phase.value if state is not None else "draft",
        decision=look.decision.action.value if look is not None else "none",
        kind=manifest.kind,
        texts=manifest.texts,
        rows=sum(table.rows for table in manifest.tables.values()),
    )


def size_bytes(shipment: ArtifactShipment) -> int:
    """Return how much an artifact has, in bytes.

    Raises:
        OSError: A file is not there.
    """
    folder = Path(shipment.folder)
    return sum((folder / name).stat().st_size for name in (*shipment.parts, *shipment.notes))


def send(shipment: ArtifactShipment, limit_s: float = LIMIT_S) -> None:
    """Log an artifact, and wait until it is there; whoever interrupts it ends the process that sends, too.

    Raises:
        SendError: It failed, or took longer.
    """
    module = f"router.monitoring.{'wandb' if shipment.mlflow is None else 'mlflow'}_artifacts"
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(run_module, module, msgspec.json.encode(shipment), limit_s, stop)
        try:
            sending.result()
        except KeyboardInterrupt:
            stop.set()
            raise
