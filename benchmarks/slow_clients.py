"""Whether slow clients are felt: the latency of others beside 500 connections that send half a head or half a body.

    python -m benchmarks.slow_clients

One Touchstone, rounds in turn in one run: alone, and beside the slow ones, once they are connected. Bar: p99 at most
1.2 times. (Accepting 500 at the very same moment keeps a proxy busy for some 10 ms, once.)
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.processes import free_port, python, running
from benchmarks.proxy import JSON_BODY, PATH, fixed_rate, quantile, touchstone

_SLOW = 500
_ROUNDS = 8
_REQUESTS, _RATE = 300, 100.0
_HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n".encode()
BAR = 1.2


def _beside(port: int) -> list[float]:
    with ExitStack() as stack:
        for number in range(_SLOW):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            slow.sendall(_HEAD if number % 2 else _HEAD + b"\r\nhalf a body")
        time.sleep(1.0)  # what holding them costs, not what accepting five hundred at once does
        return asyncio.run(fixed_rate(port, JSON_BODY, _REQUESTS, _RATE))


def main() -> int:
    """Measure and print; exit code 1 if the bar is missed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        live = free_port()
        stack.enter_context(
            running(python("-m", "router.fakes", "--port", str(live), "--delay-ms", "20"), live, folder)
        )
        target = stack.enter_context(touchstone("touchstone", folder, live, live, 0))
        alone: list[float] = []
        beside: list[float] = []
        for _ in track(range(_ROUNDS), description="latency"):
            alone += asyncio.run(fixed_rate(target.port, JSON_BODY, _REQUESTS, _RATE))
            beside += _beside(target.port)
    p99 = [quantile(values, 0.99) * 1e3 for values in (alone, beside)]
    out = Console()
    out.print(f"p99 alone {p99[0]:.2f} ms, beside {_SLOW} slow clients {p99[1]:.2f} ms, simulated backend")
    out.print(f"ratio {p99[1] / p99[0]:.3f} x (bar {BAR} x)")
    return int(p99[1] / p99[0] > BAR)


if __name__ == "__main__":
    raise SystemExit(main())
