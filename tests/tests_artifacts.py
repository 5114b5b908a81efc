"""A small export on the disk, and its shipment, for the tests of its targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.exporting.manifest import Manifest, Part, TableParts, write_manifest
from router.monitoring.artifacts import ArtifactShipment, ExportNote


def written(folder: Path, parts: Sequence[str]) -> Path:
    """Write these parts and their manifest; returns the folder."""
    table = TableParts(columns={"seq": "integer"})
    for seq, name in enumerate(parts, start=1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'{{"seq": {seq}}}\n')
        table.add([Part(file=name, epoch=1, day="2026-11-25", rows=1, first_seq=seq, last_seq=seq)])
    (folder / "schema.json").write_text("{}")
    made = Manifest(store_revision="0007", experiment="support", kind="jsonl", texts=False, tables={"looks": table})
    write_manifest(folder, made)
    return folder


def shipment(folder: Path, parts: Sequence[str], **place: object) -> ArtifactShipment:
    """Return what is sent of it."""
    note = ExportNote(
        export_id="5f" * 16,
        experiment="support",
        epochs=[1, 2],
        phase="promoted",
        decision="promote",
        kind="jsonl",
        texts=False,
        rows=len(parts),
    )
    notes = ["schema.json", "manifest.json"]
    return ArtifactShipment(folder=str(folder), parts=list(parts), notes=notes, note=note, **place)
