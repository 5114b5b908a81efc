"""An export -> an artifact of Weights & Biases (extra `wandb`): one run an export, a version each time it is logged.

Run as a process of its own, `python -m router.monitoring.wandb_artifacts`, with an `ArtifactShipment` on its standard
input. Part files never change: wandb takes them from where they are, and does not send again what it has.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec

from router.monitoring.artifacts import ArtifactShipment

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")
"""In an artifact's name, by wandb's rule."""


def artifact_name(experiment: str) -> str:
    """Return the name of an experiment's artifact."""
    return f"{_FORBIDDEN.sub('_', experiment)}-export"


def send(shipment: ArtifactShipment) -> None:
    """Log the export as the newest version of its artifact.

    Raises:
        Exception: wandb's own, if it cannot be reached or refuses.
    """
    import wandb  # noqa: PLC0415  # takes seconds, and is an extra

    place, note = shipment.wandb, shipment.note
    if place is None:
        raise ValueError("the shipment is for another target")
    Path(place.folder).mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=place.project,
        dir=place.folder,
        id=note.export_id[:16],
        name=note.name,
        mode=place.mode,
        resume="allow" if place.mode == "online" else None,
        job_type="export",
        tags=["touchstone", f"decision:{note.decision}", f"phase:{note.phase}"],
        config=note.tags,
        settings=wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        ),
    )
    artifact = wandb.Artifact(artifact_name(note.experiment), type="export", metadata=note.tags)
    folder = Path(shipment.folder)
    for name in shipment.parts:
        artifact.add_file(str(folder / name), name=name, policy="immutable")
    for name in shipment.notes:  # they change with the next export, so wandb keeps a copy
        artifact.add_file(str(folder / name), name=name, policy="mutable")
    run.log_artifact(artifact)
    run.finish()


if __name__ == "__main__":
    send(msgspec.json.decode(sys.stdin.buffer.read(), type=ArtifactShipment))
