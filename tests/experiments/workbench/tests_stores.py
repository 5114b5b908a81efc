"""Stores to read from: copies of the simulated example that a test may change first."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from experiments.workbench import OpenStore, example

NAME = "support-int4"


def database() -> Path:
    """Return the file of the example."""
    return Path(example().config.router.database.removeprefix("sqlite:///"))


def copied(folder: Path, *statements: str) -> Path:
    """Copy the example's file, change it, and return its path."""
    path = folder / "copy.db"
    shutil.copy(database(), path)
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


def plain(store: OpenStore) -> dict[str, object]:
    """Return what a store says of its experiment, as plain values."""
    e = store.experiment(NAME)
    return {
        "experiments": list(store.experiments()),
        "exchanges": [{**row, "seq": 0} for row in e.exchanges()],
        "pairs": list(e.pairs(texts=True)),
        "hindi": len(e.pairs("agreement", slice="language=hi")),
        "units": list(e.units("agreement", slice="language=hi")),
        "feedback": list(e.feedback("complaint")),
        "looks": list(e.looks()),
        "evidence": list(e.evidence(3)),
        "decision": str(e.decision(2)),
        "verdict": str(e.verdict()),
        "replayed": [found.agrees for found in e.replay()],
    }
