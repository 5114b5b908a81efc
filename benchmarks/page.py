"""Writes what `benchmarks.proxy` measured into docs/performance.md, between its two marks."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_PEER = "nginx"


class Measured(NamedTuple):
    """The figures of one run: name -> one value a round."""

    json_cpu_us: dict[str, list[float]]
    sse_cpu_us: dict[str, list[float]]
    latency_s: dict[float, dict[str, list[float]]]
    """By requests a second: of every request, the direct way among them."""
    memory_mib: dict[str, float]


def write_page(found: Measured, rounds: int) -> None:
    """Replace the measured part of the page."""
    replace_part("measured", measured_part(found, rounds))


def replace_part(name: str, part: str) -> None:
    """Replace what stands in docs/performance.md between two marks.

    Args:
        name: Of the marks, `<!-- NAME: begin -->` and `<!-- NAME: end -->`, each on a line of its own.
        part: In Markdown, with a newline at its end.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{PAGE.name} has no part {name!r}")
    PAGE.write_text(before + begin + part + end + after, encoding="utf-8")


def measured_part(found: Measured, rounds: int) -> str:
    """Return the measured part in Markdown."""
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    memory = ", ".join(f"{name} {mib:.0f} MiB" for name, mib in found.memory_mib.items())
    return (
        f"Measured on {where}, {rounds} rounds: median, and range in brackets.\n\n"
        + _cpu_table("a JSON request", found.json_cpu_us)
        + "\n"
        + _cpu_table("a stream of 100 pieces", found.sse_cpu_us)
        + "\n"
        + "\n".join(_latency_table(rate, values) for rate, values in found.latency_s.items())
        + f"\nResident memory: {memory}.\n"
    )


def _cpu_table(what: str, cpu_us: dict[str, list[float]]) -> str:
    peer = cpu_us.get(_PEER)
    rows = [f"| CPU of {what} | per request | ratio to {_PEER} |\n|---|---|---|\n"]
    for name, values in cpu_us.items():
        if not values:
            continue
        middle = f"{statistics.median(values):.0f} us ({min(values):.0f}-{max(values):.0f})"
        ratio = "-"
        if peer is not None and name != _PEER:
            # Round by round: a machine whose speed drifts harms both alike.
            ratio = f"{statistics.median(a / b for a, b in zip(values, peer, strict=True)):.1f} x"
        rows.append(f"| {name} | {middle} | {ratio} |\n")
    return "".join(rows)


def _latency_table(rate: float, latency_s: dict[str, list[float]]) -> str:
    rows = [f"| latency at {rate:.0f} requests a second | p50 | added | p99 | added |\n|---|---|---|---|---|\n"]
    base = _quantiles_ms(latency_s["direct"])
    for name, values in latency_s.items():
        p50, p99 = _quantiles_ms(values)
        rows.append(f"| {name} | {p50:.2f} ms | {p50 - base[0]:+.2f} | {p99:.2f} ms | {p99 - base[1]:+.2f} |\n")
    return "".join(rows)


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _quantiles_ms(values: list[float]) -> tuple[float, float]:
    return quantile(values, 0.5) * 1e3, quantile(values, 0.99) * 1e3
