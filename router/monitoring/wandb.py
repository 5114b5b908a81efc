"""Days, golden runs and decisions -> Weights & Biases (extra `wandb`): a run for each.

Run as a process of its own, `python -m router.monitoring.wandb`, with a `Shipment` on its standard input: wandb starts
further processes, and this one can be ended with all of them if they hang.

Online, what is sent again goes on in its run. Offline, where nothing can be read back, it takes the place of its
earlier folder, unless that one was sent by `wandb sync`: then both are there, with the same run in them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

import msgspec

from router.monitoring.report import DayReport, Report

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")
"""In an artifact's name, by wandb's rule."""


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, and where to."""

    project: str
    mode: Literal["offline", "online"]
    folder: str
    """Of runs; wandb makes `wandb/` in it."""
    reports: list[Report]


def run_id(report: Report) -> str:
    """Return the id of a report's run: always the same one."""
    return hashlib.sha256(report.name.encode()).hexdigest()[:16]


def send(shipment: Shipment) -> None:
    """Send reports, each as a run of its own.

    Raises:
        Exception: wandb's own, if it cannot be reached or refuses.
    """
    Path(shipment.folder).mkdir(parents=True, exist_ok=True)
    for report in shipment.reports:
        before = _offline(Path(shipment.folder), report)
        now = _send_one(shipment, report)
        for folder in before:
            if folder != now and not any(folder.glob("*.synced")):
                shutil.rmtree(folder)


def _send_one(shipment: Shipment, report: Report) -> Path:
    """Send one report; returns the folder of its run."""
    import wandb  # noqa: PLC0415  # takes seconds, and is an extra

    run = wandb.init(
        project=shipment.project,
        dir=shipment.folder,
        id=run_id(report),
        name=report.name,
        mode=shipment.mode,
        resume="allow" if shipment.mode == "online" else None,
        job_type="day" if isinstance(report, DayReport) else report.kind,
        tags=None if isinstance(report, DayReport) else ["touchstone", *report.words],
        config=_config(report),
        # Figures of a comparison, and nothing of this machine or of the folder that it runs in.
        settings=wandb.Settings(
            silent=True, console="off", disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True
        ),
    )
    run.summary.update(report.figures)
    if not isinstance(report, DayReport) and report.files:
        artifact = wandb.Artifact(_FORBIDDEN.sub("_", report.name), type=report.kind, metadata=report.tags)
        for name, content in report.files.items():
            with artifact.new_file(name, encoding="utf-8") as file:
                file.write(content)
        run.log_artifact(artifact)
    folder = Path(run.dir).parent  # what lies below is `files`
    run.finish()
    return folder


def _config(report: Report) -> dict[str, str | int]:
    if isinstance(report, DayReport):
        return {"experiment": report.experiment, "epoch": report.epoch, "day": report.day, "digest": report.digest}
    return {**report.tags, "digest": report.digest}


def _offline(folder: Path, report: Report) -> list[Path]:
    return sorted((folder / "wandb").glob(f"offline-run-*-{run_id(report)}"))


if __name__ == "__main__":
    send(msgspec.json.decode(sys.stdin.buffer.read(), type=Shipment))
