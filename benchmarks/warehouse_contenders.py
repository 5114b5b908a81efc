"""One analysis of an export in Parquet, by one engine, in a process of its own; what it found and took, as JSON.

    python -m benchmarks.warehouse_contenders touchstone FOLDER

`benchmarks.warehouse` starts these. What a contender imports is no part of its time: a notebook imports once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.processes import cpu_seconds, tree

Found = dict[str, float]
"""What was found: `metric|slice|figure` -> value."""
Analyse = Callable[[Path], Found]
_CAP = 10
"""Pairs of a unit that count: `unit_cap` of the policy."""
_DUCKDB = {"memory_limit": "3GiB", "preserve_insertion_order": False}
"""What Touchstone gives DuckDB, for a peer that uses it too."""
_FAULTS = ("connect", "malformed", "reset", "status", "timeout", "unavailable")
_LIVE_COLUMNS = ["id", "unit", "stage", "propensity", "assigned", "error"]
_OUTCOME_COLUMNS = ["pair", "metric", "unit", "slices", "value"]
SLICES = {"x-language": ("en", "hi", "hinglish", "ta", "bn"), "x-channel": ("app", "web")}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one analysis took."""

    seconds: float
    cpu_s: float
    """User and system time of all threads; of the Java machine too, where there is one."""
    peak_mib: float
    """Highest resident memory of the process since it began."""
    found: Found


def touchstone(engine: Literal["duckdb", "spark"]) -> Analyse:
    """Return Touchstone's own analysis: every metric x slice x stage x unit, pairs and bad events."""
    from experiments.config import load  # noqa: PLC0415
    from experiments.warehouse import analyze, state, summary  # noqa: F401, PLC0415  # what it imports late, imported
    from experiments.warehouse.sources import opened  # noqa: PLC0415

    def run(folder: Path) -> Found:
        experiment = load(folder / "config.toml").experiments["generated"]
        with opened(folder, experiment.name, engine) as source:
            analysis = analyze(source, experiment, as_of="all")
        found: Found = {}
        for row in analysis.metrics:
            if row.kind == "event":
                found[f"{row.metric}||exposed"] = row.units
                found |= {f"{row.metric}||control": row.wins, f"{row.metric}||treatment": row.losses}
            elif row.estimate is not None:
                found[f"{row.metric}|{row.slice}|units"] = row.units
                found[f"{row.metric}|{row.slice}|estimate"] = row.estimate
        return found

    return run


def pandas() -> Analyse:
    """Return the same questions as they are put to pandas: read the columns, then group."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    def run(folder: Path) -> Found:
        found: Found = {}
        live = pd.read_parquet(_files(folder, "exchanges"), columns=_LIVE_COLUMNS, filters=[("role", "==", "live")])
        units = live.drop_duplicates("unit")
        splits = units.groupby(["stage", "propensity", "assigned"]).size()
        found["errors||exposed"] = int(splits.sum())
        failed = live[live.error.isin(_FAULTS)].drop_duplicates("unit")
        _count_events(found, "errors", failed.assigned)
        votes = pd.read_parquet(_files(folder, "feedback"), columns=["exchange", "value"])
        bad = votes[votes.value <= 0].merge(live[["id", "unit", "assigned"]], left_on="exchange", right_on="id")
        _count_events(found, "thumbs_up", bad.drop_duplicates("unit").assigned)
        del live, units

        outcomes = pd.read_parquet(_files(folder, "outcomes"), columns=_OUTCOME_COLUMNS)
        pairs = outcomes[["unit", "pair"]].drop_duplicates()
        pairs = pairs[pairs.groupby("unit").cumcount() < _CAP]
        outcomes = outcomes.merge(pairs, on=["unit", "pair"])
        texts = outcomes.slices.astype("category")
        kinds = {text: msgspec.json.decode(text) for text in texts.cat.categories}
        for slice_ in ("", *_slices()):
            rows = outcomes
            if slice_:
                attribute, _, value = slice_.partition("=")
                rows = outcomes[texts.isin([text for text, kind in kinds.items() if kind[attribute] == value])]
            means = rows.groupby(["metric", "unit"]).value.mean()
            for metric, summary in means.groupby("metric").agg(["count", "mean", "var"]).iterrows():
                estimate = np.expm1(summary["mean"]) if metric == "latency" else summary["mean"]
                found[f"{metric}|{slice_}|units"] = int(summary["count"])
                found[f"{metric}|{slice_}|estimate"] = float(estimate)
        return found

    return run


def _count_events(found: Found, metric: str, assigned: Any) -> None:
    for variant in ("control", "treatment"):
        found[f"{metric}||{variant}"] = int((assigned == variant).sum())


def tea_tasting() -> Analyse:
    """Return what tea-tasting can say of it: two arms, by unit, over live exchanges, on its own path (Ibis, DuckDB).

    Its tests have no pairs and no stages, and one call has no slices: a unit's row is computed once and kept by DuckDB,
    then each slice is a call.
    """
    import ibis  # noqa: PLC0415
    import tea_tasting as tt  # noqa: PLC0415

    asked = tt.Experiment(latency=tt.Mean("latency_ms"), errors=tt.Mean("failed"), requests=tt.Mean("requests"))

    def run(folder: Path) -> Found:
        connection = ibis.duckdb.connect(**_DUCKDB, temp_directory=tempfile.gettempdir())
        rows = connection.read_parquet(_files(folder, "exchanges"))
        live = rows.filter(rows.role == "live")
        units = live.group_by("unit").agg(
            variant=live.assigned.argmin(live.seq),
            slices=live.slices.min(),
            latency_ms=live.latency_ms.mean(),
            failed=live.error.isin(_FAULTS).any().cast("int64"),
            requests=live.count(),
        )
        units = units.cache()
        found: Found = {}
        for slice_ in ("", *_slices()):
            attribute, _, value = slice_.partition("=")
            asked_of = units.filter(units.slices.contains(f'"{attribute}":"{value}"')) if slice_ else units
            result = asked.analyze(asked_of, control="control")
            found |= {f"{name}|{slice_}|tea": float(row.effect_size) for name, row in result.items()}
        return found

    return run


CONTENDERS: dict[str, Callable[[], Analyse]] = {
    "touchstone": lambda: touchstone("duckdb"),
    "touchstone-spark": lambda: touchstone("spark"),
    "tea-tasting": tea_tasting,
    "pandas": pandas,
}


def _slices() -> Iterator[str]:
    for attribute, values in SLICES.items():
        yield from (f"{attribute}={value}" for value in values)


def _files(folder: Path, table: str) -> list[str]:
    return [str(path) for path in sorted((folder / table).rglob("part-*.parquet"))]


def measured(name: str, folder: Path) -> Measured:
    """Run one analysis here, and say what it took."""
    run = CONTENDERS[name]()
    began, before = time.perf_counter(), cpu_seconds(tree(os.getpid()))
    found = run(folder)
    seconds, cpu_s = time.perf_counter() - began, cpu_seconds(tree(os.getpid())) - before
    return Measured(seconds=seconds, cpu_s=cpu_s, peak_mib=peak_mib(), found=found)


def peak_mib() -> float:
    """Return the highest resident memory that this process has had.

    `getrusage` would count what the parent had at the fork.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Run one, and print what it took as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    sys.stdout.write(msgspec.json.encode(measured(options.name, options.folder)).decode() + "\n")


if __name__ == "__main__":
    main()
