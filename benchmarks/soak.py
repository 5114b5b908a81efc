"""A long run under mixed load: memory stays flat, descriptors do not leak, every answer is recorded once.

    python -m benchmarks.soak --seconds 300

`touchstone serve` in front of two simulated backends: plain and streamed requests, clients that leave in the middle, a
treatment that fails now and then, mirroring. Sampled are resident memory and open descriptors of the proxy. Bars: the
median memory of the last fifth of the run is at most 5 % above that of the second fifth; descriptors at the end, idle,
are at most 10 above those at the start; every answer is stored.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from rich.console import Console

from benchmarks.processes import free_port, python, resident_mib, running
from benchmarks.proxy import JSON_BODY, PATH, SSE_BODY, Target, touchstone
from experiments.store import open_store

_BAR_GROWTH = 0.05
_BAR_DESCRIPTORS = 10
_CONCURRENCY = 8


class Load:
    """Requests of all kinds until the time is over; bounded by its concurrency."""

    def __init__(self, port: int, seed: int) -> None:
        self._url = f"http://127.0.0.1:{port}{PATH}"
        self._random = random.Random(seed)  # a reproducible load
        self.answered: set[str] = set()
        self.broken = 0

    async def run(self, until: float) -> None:
        """Keep `_CONCURRENCY` requests going."""
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._worker(session, until) for _ in range(_CONCURRENCY)))

    async def _worker(self, session: aiohttp.ClientSession, until: float) -> None:
        while time.monotonic() < until:
            await self._one(session)
            await asyncio.sleep(0.01)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        draw = self._random.random()
        body = SSE_BODY if draw < 0.2 else JSON_BODY
        headers = {"x-user-id": f"user-{self._random.randrange(1000)}", "content-type": "application/json"}
        async with session.post(self._url, data=body, headers=headers) as response:
            if draw < 0.02:
                await response.content.readany()
                response.close()  # a client that leaves in the middle of a stream
                return
            await response.read()
            if response.status == 200:
                self.answered.add(response.headers["x-touchstone-exchange"])
            else:
                self.broken += 1


async def _soak(load: Load, target: Target, seconds: float) -> list[float]:
    """Run the load and sample the proxy's memory."""
    until = time.monotonic() + seconds
    running_load = asyncio.create_task(load.run(until))
    samples = []
    while not running_load.done():
        await asyncio.sleep(min(1.0, seconds / 50))
        samples.append(resident_mib(target.pids))
    await running_load
    return samples


def _descriptors(target: Target) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in target.pids)


def _stored(folder: Path, wanted: set[str], timeout_s: float = 60.0) -> int:
    """Wait until the recorder has caught up; returns how many of the wanted exchanges are stored."""
    store = open_store(f"sqlite:///{folder}/bench.db")
    deadline = time.monotonic() + timeout_s
    try:
        while sum(store.count_exchanges().values()) < len(wanted) and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(2.0)
        return sum(store.find_exchange(one) is not None for one in wanted)
    finally:
        store.close()


def main() -> int:
    """Run and print; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    out = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a, b = free_port(), free_port()
        for port, how in ((a, ()), (b, ("--fail-share", "0.02"))):
            stack.enter_context(running(python("-m", "router.fakes", "--port", str(port), *how), port, folder))
        target = stack.enter_context(touchstone("soak", folder, a, b, 20))
        load = Load(target.port, seed=1)
        asyncio.run(load.run(time.monotonic() + 2.0))  # every path once, before anything is compared
        time.sleep(6.0)
        before = _descriptors(target)
        samples = asyncio.run(_soak(load, target, options.seconds))
        time.sleep(6.0)  # kept connections close
        after = _descriptors(target)
        stored = _stored(target.folder, load.answered)
    fifth = max(1, len(samples) // 5)
    early, late = statistics.median(samples[fifth : 2 * fifth]), statistics.median(samples[-fifth:])
    growth = late / early - 1
    out.print(f"{options.seconds:.0f} s, {len(load.answered)} answers, {load.broken} refused, simulated backends")
    out.print(f"memory {early:.1f} -> {late:.1f} MiB: {growth:+.1%} (bar {_BAR_GROWTH:+.0%})")
    out.print(f"descriptors {before} -> {after} (bar +{_BAR_DESCRIPTORS})")
    out.print(f"answered and stored: {stored} of {len(load.answered)}")
    good = growth <= _BAR_GROWTH and after - before <= _BAR_DESCRIPTORS and stored == len(load.answered)
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(main())
