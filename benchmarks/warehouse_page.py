"""Writes what `benchmarks.warehouse` measured into docs/warehouse-performance.md, between its two marks."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import msgspec

PAGE = Path(__file__).parents[1] / "docs" / "warehouse-performance.md"
OURS = "touchstone"
_BEGIN, _END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
_UNITS = "errors||exposed"
_LIBRARIES = ("duckdb", "ibis-framework", "tea-tasting", "pandas", "pyarrow", "pyspark")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender took at one size; or why it did not come to an end."""

    name: str
    size: int
    """Exchanges that were asked for."""
    rows: int
    """Exchanges that there are."""
    load: float
    """Of the machine over the minute before."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    spill_mib: float = 0.0
    why: str = ""
    found: dict[str, float] = {}


class Agreement(NamedTuple):
    """How far two contenders lie apart where both say something."""

    figures: int
    furthest: float
    """Largest difference; relative where a figure is above 1."""


Agreements = Mapping[tuple[str, int], Agreement]
"""(contender, size) -> how near it comes to Touchstone on DuckDB."""


def write_page(results: list[Result], agreements: Agreements, data_mib: Mapping[int, float]) -> None:
    """Replace the measured part of the page.

    Args:
        results: In the order in which they were measured.
        agreements: Of other contenders with Touchstone on DuckDB.
        data_mib: Size -> how much lies on disk.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    part = measured_part(results, agreements, data_mib)
    PAGE.write_text(before + _BEGIN + part + _END + after, encoding="utf-8")


def measured_part(results: list[Result], agreements: Agreements, data_mib: Mapping[int, float]) -> str:
    """Return the measured part in Markdown."""
    versions = ", ".join(_versions())
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    where = f"{os.cpu_count()} cores, {memory_gib:.0f} GiB of memory, Python {platform.python_version()}"
    ours = [result for result in results if result.name == OURS]
    return (
        f"Measured on {where}, {time.strftime('%Y-%m-%d')}; {versions}. The exchanges are **generated**.\n\n"
        + _growth_table(ours, data_mib)
        + "\n"
        + _beside_table(results)
        + "\n"
        + "".join(_agreement(name, size, found) for (name, size), found in agreements.items())
    )


def _versions() -> Iterator[str]:
    for library in _LIBRARIES:
        with suppress(PackageNotFoundError):
            yield f"{library} {version(library)}"


def _growth_table(ours: Iterable[Result], data_mib: Mapping[int, float]) -> str:
    heads = (
        "exchanges, units, Parquet, time, a million, CPU, a million, growth of time and CPU, peak memory, spilled, load"
    )
    rows = [f"| {heads.replace(', ', ' | ')} |\n|{'---:|' * len(heads.split(', '))}\n"]
    before: Result | None = None
    for result in ours:
        cells = [f"{result.rows:,}", f"{result.found.get(_UNITS, 0):,.0f}", f"{data_mib[result.size]:,.0f} MiB"]
        if result.why:
            cells += [result.why, *[""] * 6]
        else:
            cells += _took(result, before)
            before = result
        rows.append(f"| {' | '.join([*cells, f'{result.load:.1f}'])} |\n")
    return "".join(rows)


def _took(result: Result, before: Result | None) -> list[str]:
    millions = result.rows / 1e6
    cells = [f"{result.seconds:.1f} s", f"{result.seconds / millions:.2f} s"]
    cells += [f"{result.cpu_s:.1f} s", f"{result.cpu_s / millions:.2f} s"]
    cells.append("" if before is None else _growth(before, result))
    return [*cells, f"{result.peak_mib:,.0f} MiB", f"{result.spill_mib:,.0f} MiB"]


def _growth(before: Result, after: Result) -> str:
    times = after.seconds / before.seconds, after.cpu_s / before.cpu_s
    return f"{times[0]:.1f} x, {times[1]:.1f} x for {after.rows / before.rows:.1f} x"


def _beside_table(results: list[Result]) -> str:
    ours = {result.size: result for result in results if result.name == OURS}
    heads = ("exchanges", "who", "time", "CPU", "ratio of time, CPU", "peak memory", "load")
    rows = [f"| {' | '.join(heads)} |\n|---:|---|{'---:|' * (len(heads) - 2)}\n"]
    for result in sorted(results, key=lambda result: result.size):
        head = f"| {result.rows:,} | {result.name} |"
        if result.why:
            rows.append(f"{head} did not come to an end: {result.why} | | | | {result.load:.1f} |\n")
            continue
        base, ratio = ours.get(result.size), ""
        if base is not None and not base.why:
            ratio = f"{result.seconds / base.seconds:.2f} x, {result.cpu_s / base.cpu_s:.2f} x"
        rows.append(
            f"{head} {result.seconds:.1f} s | {result.cpu_s:.1f} s | {ratio} | {result.peak_mib:,.0f} MiB "
            f"| {result.load:.1f} |\n"
        )
    return "".join(rows)


def _agreement(name: str, size: int, found: Agreement) -> str:
    return (
        f"At {size:,} exchanges, {name} and Touchstone on DuckDB have {found.figures} figures in common (units, "
        f"events, estimates in every slice); none lies further apart than {found.furthest:.1g}.\n"
    )
