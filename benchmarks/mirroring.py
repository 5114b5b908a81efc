"""Whether mirroring is felt: the latency of live requests with every request mirrored to a backend that hangs.

    python -m benchmarks.mirroring

Two Touchstones in front of the same simulated backends, rounds in turn in one run: one mirrors nothing, the other
mirrors everything to a backend that accepts and never answers, until its pool of mirrored requests is full and sheds.
The live backend takes 20 ms, the way a small model does. Bar: p99 at most 1.05 times.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.processes import free_port, python, running
from benchmarks.proxy import JSON_BODY, fixed_rate, quantile, touchstone

_RATE = 100.0
BAR = 1.05


def main() -> int:
    """Measure and print; exit code 1 if the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help="requests a round")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        live, hanging = free_port(), free_port()
        for port, how in ((live, ("--delay-ms", "20")), (hanging, ("--hang",))):
            stack.enter_context(running(python("-m", "router.fakes", "--port", str(port), *how), port, folder))
        targets = {
            name: stack.enter_context(touchstone(name, folder, live, hanging, mirror, split=0))
            for name, mirror in (("no mirroring", 0), ("all mirrored to a backend that hangs", 100))
        }
        found: dict[str, list[float]] = {name: [] for name in targets}
        for _ in track(range(options.rounds), description="latency"):
            for name, target in targets.items():
                found[name] += asyncio.run(fixed_rate(target.port, JSON_BODY, options.requests, _RATE))
    return _print(found)


def _print(found: dict[str, list[float]]) -> int:
    table = Table("", "p50", "p99", title=f"Live requests, {_RATE:.0f}/s, simulated backends", title_justify="left")
    for name, seconds in found.items():
        table.add_row(name, *(f"{quantile(seconds, share) * 1e3:.2f} ms" for share in (0.5, 0.99)))
    out = Console()
    out.print(table)
    without, mirrored = found.values()
    ratio = quantile(mirrored, 0.99) / quantile(without, 0.99)
    out.print(f"p99: {ratio:.3f} x (bar {BAR} x)")
    return int(ratio > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
