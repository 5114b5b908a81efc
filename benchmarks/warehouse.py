"""Analysis of a large export on this machine: Touchstone on DuckDB beside tea-tasting and pandas, in one run.

    pip install -e '.[warehouse,peers]'
    python -m benchmarks.warehouse --exchanges 1e6,1e7,1e8 --folder FOLDER

Exchanges are generated (`benchmarks.generated_exchanges`), and say so. Each contender analyses the same files in a
process of its own, one after the other; one that passes 4 GiB of resident memory is ended, and the page says so. It
writes docs/warehouse-performance.md. 100 million exchanges take 5 GB of disk, and ten minutes of CPU to be generated.
Spark (`.[spark]`, Java 17) is asked at one million, if it is there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import track

from benchmarks.capped_child import Ended, run_capped
from benchmarks.generated_exchanges import Traffic, generate, parts_of
from benchmarks.warehouse_contenders import Measured
from benchmarks.warehouse_page import OURS, Agreement, Agreements, Result, write_page
from experiments.exporting.manifest import MANIFEST

LIMIT_MIB = 4096
CONTENDERS = (OURS, "tea-tasting", "pandas")
SPARK_EXCHANGES = 1_000_000
"""Spark is measured once, at this size: it is for clusters, and this is one machine."""
_TIMEOUT_S = 3 * 3_600


def main() -> None:
    """Generate what is missing, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", default="1e6,1e7,1e8", help="sizes, rising")
    parser.add_argument("--folder", type=Path, required=True, help="where the data is, or is to be")
    parser.add_argument("--seed", type=int, default=20_260_901)
    parser.add_argument("--results", type=Path, help="also keep what was measured, and do not measure it again")
    options = parser.parse_args()
    out, results = Console(), _known(options.results)
    sizes = [int(float(size)) for size in options.exchanges.split(",")]
    for size in sizes:
        folder = options.folder / str(size)
        ensure(folder, Traffic(size, options.seed))
        for name in _asked(size, results):
            result = measure(name, folder, size)
            results.append(result)
            out.print(_told(result), soft_wrap=True)
            if options.results:
                options.results.write_bytes(msgspec.json.encode(results))
    write_page(results, agreement(results), {size: data_mib(options.folder / str(size)) for size in sizes})


def ensure(folder: Path, traffic: Traffic) -> None:
    """Generate an export, unless it is there already."""
    if not (folder / MANIFEST).exists():
        parts = generate(folder, traffic)
        for _ in track(parts, description=f"generating {traffic.exchanges:,}", total=parts_of(traffic)):
            pass


def measure(name: str, folder: Path, size: int) -> Result:
    """Let one contender analyse one export, in a process of its own."""
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        limit_mib = float("inf") if name == "touchstone-spark" else LIMIT_MIB
        ended = run_capped("benchmarks.warehouse_contenders", [name, str(folder)], Path(scratch), limit_mib, _TIMEOUT_S)
    return _result(name, size, manifest["tables"]["exchanges"]["rows"], ended)


def data_mib(folder: Path) -> float:
    """Return how much of Parquet lies in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 2**20


def _result(name: str, size: int, rows: int, ended: Ended) -> Result:
    known: dict[str, Any] = {"name": name, "size": size, "rows": rows, "load": ended.load, "spill_mib": ended.spill_mib}
    if ended.why:
        return Result(**known, why=ended.why, peak_mib=ended.peak_mib)
    took = msgspec.json.decode(ended.output.strip().splitlines()[-1], type=Measured)
    peak_mib = max(took.peak_mib, ended.peak_mib)
    return Result(**known, seconds=took.seconds, cpu_s=took.cpu_s, peak_mib=peak_mib, found=took.found)


def _asked(size: int, results: list[Result]) -> Iterator[str]:
    """Yield who is asked at a size: all that have not been, and have held all smaller ones."""
    names = (*CONTENDERS, "touchstone-spark") if size == SPARK_EXCHANGES else CONTENDERS
    for name in names:
        mine = [result for result in results if result.name == name]
        if not any(result.size == size or result.why for result in mine):
            yield name


def agreement(results: list[Result]) -> Agreements:
    """Return how near each contender comes to Touchstone on DuckDB, by (name, size)."""
    ours = {result.size: result.found for result in results if result.name == OURS}
    found = {}
    for result in results:
        there = ours.get(result.size, {})
        both = [(value, there[key]) for key, value in result.found.items() if key in there]
        if both and result.name != OURS:
            apart = max(abs(a - b) / max(1.0, abs(b)) for a, b in both)
            found[result.name, result.size] = Agreement(len(both), apart)
    return found


def _known(path: Path | None) -> list[Result]:
    if path is None or not path.exists():
        return []
    return msgspec.json.decode(path.read_bytes(), type=list[Result])


def _told(result: Result) -> str:
    head = f"{result.name:>16} {result.rows:>12,}"
    if result.why:
        return f"{head}  {result.why}"
    took = f"{result.seconds:8.1f} s  cpu {result.cpu_s:8.1f} s  {result.peak_mib:6.0f} MiB"
    return f"{head}  {took}  load {result.load:.1f}"


if __name__ == "__main__":
    main()
