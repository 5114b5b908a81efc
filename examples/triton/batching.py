"""What dynamic batching does to latency under load, measured through the router.

    python -m examples.triton.batching --seconds 8

Two Triton servers with the same F32 model, one with dynamic batching and one without; the router in front; the same
load on each in turn, with the other idle. Prints one table. Exit code 2 and what to do if something is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from examples.children import Children, ExampleError, fetch
from examples.triton import golden
from examples.triton.environment import python
from examples.triton.load import Load, Loaded
from examples.triton.metrics import Counted, read
from examples.triton.servers import FOLDER, PATH, ROUTER, RUN, build_models, start_router, start_triton

PORTS = {"off": 9221, "on": 9201}
CLIENTS = (1, 4, 16)
RATES = (40.0, 80.0, 160.0)
_WARMUP_S = 1.5
_COLUMNS = ("load", "batching", "answers/s", "p50", "p95", "p99", "mean batch", "queue", "compute", "rest", "failed")


class Cell(NamedTuple):
    """One load on one server."""

    load: str
    batching: str
    loaded: Loaded
    counted: Counted

    def columns(self) -> list[str]:
        """Return what the table shows; milliseconds but for the second, third and seventh."""
        loaded, counted = self.loaded, self.counted
        mean = sum(loaded.latencies_ms) / len(loaded.latencies_ms) if loaded.latencies_ms else None
        queue, compute = counted.queue_ms, counted.compute_ms
        rest = None if mean is None or queue is None or compute is None else mean - queue - compute
        quantiles = [loaded.quantile_ms(share) for share in (0.5, 0.95, 0.99)]
        batch = "–" if counted.mean_batch is None else f"{counted.mean_batch:.1f}"
        times = [_ms(value) for value in (*quantiles, queue, compute, rest)]
        return [
            self.load,
            self.batching,
            f"{loaded.per_second:.0f}",
            *times[:3],
            batch,
            *times[3:],
            str(loaded.failures),
        ]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def table(cells: Sequence[Cell]) -> Table:
    """Return all cells, the two servers of a load one under the other."""
    shown = Table(*_COLUMNS, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title="Latency through the router, in ms")
    shown.caption = (
        "queue, compute: means by Triton's /metrics. rest: the mean latency less both (router, HTTP, client)."
    )
    for cell in cells:
        shown.add_row(*cell.columns())
    return shown


def loads(clients: Sequence[int], rates: Sequence[float]) -> Iterator[tuple[str, float, bool]]:
    """Yield (name, clients or rate, whether it is an open loop)."""
    for count in clients:
        yield f"{count} client{'s' if count > 1 else ''}", float(count), False
    for rate in rates:
        yield f"{rate:g}/s", rate, True


async def measure(seconds: float, out: Console) -> list[Cell]:
    """Put every load on both servers, one after the other."""
    bodies = [item["request"] for item in golden.items()]
    cells = []
    for name, size, is_open in loads(CLIENTS, RATES):
        for batching, port in PORTS.items():
            await _load(batching, bodies).closed(2, _WARMUP_S)
            before, load = _counted(port), _load(batching, bodies)
            loaded = await (load.open(size, seconds) if is_open else load.closed(int(size), seconds))
            cells.append(Cell(name, batching, loaded, _counted(port).since(before)))
            out.print(f"{name}, batching {batching}: {loaded.per_second:.0f} answers/s")
    return cells


def _load(batching: str, bodies: list[dict[str, Any]]) -> Load:
    return Load(ROUTER + PATH, bodies, {"x-batching": batching})


def _counted(port: int) -> Counted:
    return read(fetch(f"http://127.0.0.1:{port + 2}/metrics"), "intent")


def run(seconds: float, out: Console) -> None:
    """Start everything, measure, print.

    Raises:
        ExampleError: Something is missing, or did not start.
    """
    interpreter = python()
    out.print(f"Models: {build_models(interpreter)}")
    shutil.rmtree(RUN / "batching-journal", ignore_errors=True)
    (RUN / "batching.db").unlink(missing_ok=True)
    with Children(RUN / "logs") as children:
        for batching, port in PORTS.items():
            start_triton(children, interpreter, f"batching-{batching}", port, model="fp32.onnx", batching=batching)
        start_router(children, FOLDER / "batching.toml")
        cells = asyncio.run(measure(seconds, out))
        children.check()
    out.print(table(cells))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load (default: %(default)g)")
    options = parser.parse_args()
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    try:
        run(options.seconds, out)
    except ExampleError as error:
        print(f"examples.triton.batching: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
