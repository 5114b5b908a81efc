"""What the hot path costs beside CPU per request: journal, connections, a second worker, the recorder beside traffic.

    python -m benchmarks.hot_path [--seconds 10]

- *journal*: CPU of appending one exchange, with its write, without fsync.
- *connections*: resident memory of the proxy with 2,000 idle connections, and with 300 streams that are open.
- *workers*: requests a second that one worker and two workers answer, each held to a small share of a core by a control
  group, so that neither the client nor the backend is what limits. Needs to be root on Linux; else it is not measured.
- *recorder*: how fast a journal is loaded into SQLite and PostgreSQL while a proxy serves 1,000 requests a second, and
  what that does to their latency. Client and backends (nginx) are lean ones, since on two cores all share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
from rich.console import Console

from benchmarks.lean_client import static_backend, steady
from benchmarks.page import quantile, replace_part
from benchmarks.processes import free_port, python, resident_mib, running
from benchmarks.proxy import JSON_BODY, PATH, SSE_BODY, closed_loop, touchstone
from benchmarks.recorder import emptied, exchange, fill, postgres
from router.journal import Journal

_RATE = 1_000.0
_IDLE, _STREAMS = 2_000, 300
_SHARE = 0.15
"""Of a core, for each worker: small enough for client and backend to keep up with two."""
_CGROUPS = Path("/sys/fs/cgroup")


def journal_us(folder: Path, appends: int = 20_000, rounds: int = 5) -> float:
    """Return microseconds of CPU per exchange appended: the quickest of several rounds."""
    journal, record = Journal(folder, segment_bytes=2**40), exchange(1, shadow=False)
    found = []
    for _ in range(rounds):
        before = time.thread_time()
        for _ in range(appends):
            journal.append(record)
        found.append((time.thread_time() - before) / appends * 1e6)
    journal.close()
    return min(found)


@contextmanager
def backends(parent: Path, *more: str) -> Iterator[tuple[int, int]]:
    """Two fake backends; their answers are simulated."""
    with ExitStack() as stack:
        ports = [free_port(), free_port()]
        for port in ports:
            folder = parent / f"backend-{port}"
            folder.mkdir()
            stack.enter_context(running(python("-m", "router.fakes", "--port", str(port), *more), port, folder))
        yield ports[0], ports[1]


def connection_kib(parent: Path) -> tuple[float, float]:
    """Return KiB of the proxy's memory per idle connection, and per open stream (its backend's connection with it)."""
    with backends(parent, "--chunk-delay-ms", "200") as (a, b), touchstone("", parent, a, b, 0) as target:
        asyncio.run(closed_loop(target.port, JSON_BODY, 2_000, 16))
        before = resident_mib(target.pids)
        with_idle = asyncio.run(_while_idle(target.port, target.pids))
        asyncio.run(_while_streaming(target.port, target.pids, _STREAMS))
        quiet = resident_mib(target.pids)
        with_streams = asyncio.run(_while_streaming(target.port, target.pids, 2 * _STREAMS))
    # What a first load leaves behind, a second one uses again: only the second one's growth is of streams.
    return (with_idle - before) * 1024 / _IDLE, max(0.0, with_streams - quiet) * 1024 / _STREAMS


async def _while_idle(port: int, pids: list[int]) -> float:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_IDLE)]
    await asyncio.sleep(1.0)
    found = resident_mib(pids)
    for _, writer in opened:
        writer.close()
    return found


async def _while_streaming(port: int, pids: list[int], count: int) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        headers = {"content-type": "application/json"}

        async def one() -> None:
            async with session.post(f"http://127.0.0.1:{port}{PATH}", data=SSE_BODY, headers=headers) as response:
                await response.content.readany()

        streams = [asyncio.create_task(one()) for _ in range(count)]
        await asyncio.sleep(3.0)
        found = resident_mib(pids)
        await asyncio.gather(*streams)
    return found


@contextmanager
def held_to(share: float, pids: list[int]) -> Iterator[None]:
    """Hold each process to a share of a core by a control group of its own.

    Raises:
        OSError: It cannot be: we are not root, or there are no control groups.
    """
    root = _CGROUPS / "cpu" if (_CGROUPS / "cpu").is_dir() else _CGROUPS
    groups = [root / f"touchstone-bench-{pid}" for pid in pids]
    try:
        for group, pid in zip(groups, pids, strict=True):
            group.mkdir()
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{int(share * 20_000)} 20000")
            else:
                (group / "cpu.cfs_period_us").write_text("20000")
                (group / "cpu.cfs_quota_us").write_text(str(int(share * 20_000)))
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for group, pid in zip(groups, pids, strict=True):
            if group.is_dir():
                (root / "cgroup.procs").write_text(str(pid))
                group.rmdir()


def answered_per_second(parent: Path, workers: int, seconds: float) -> float:
    """Return requests a second of so many workers, each held to a share of a core."""
    folder = parent / f"workers-{workers}"
    folder.mkdir()
    with backends(folder) as (a, b), touchstone("", folder, a, b, 0, workers=workers) as target:
        # Many connections: the kernel spreads them over the workers as they come.
        asyncio.run(closed_loop(target.port, JSON_BODY, 500, 64))
        with held_to(_SHARE, target.pids):
            begun = time.perf_counter()
            count = int(seconds * 1_000 * workers)
            asyncio.run(closed_loop(target.port, JSON_BODY, count, 64))
            return count / (time.perf_counter() - begun)


def beside_traffic(parent: Path, url: str, seconds: float, exchanges: int) -> tuple[list[float], list[float], float]:
    """Return latencies without and with a recorder that loads a journal of its own, and its exchanges a second."""
    parent.mkdir()
    requests = int(seconds * _RATE)
    with static_backend(parent) as a, static_backend(parent) as b, touchstone("", parent, a, b, 0) as target:
        steady(target.port, PATH, JSON_BODY, 1_000, _RATE)
        alone = steady(target.port, PATH, JSON_BODY, requests, _RATE)
        fill(parent / "other", exchanges)
        found: list[float] = []
        loading = threading.Thread(target=lambda: found.append(loaded_elsewhere(url, parent / "other", exchanges)))
        loading.start()
        beside = steady(target.port, PATH, JSON_BODY, requests, _RATE)
        loading.join()
    return alone, beside, found[0]


_LOADER = """
import sys, time
from pathlib import Path
from experiments.config.records import Config, RouterSettings
from experiments.journal.recorder import Recorder
from experiments.store import open_store
from router.processes.priority import give_way
give_way()
url, folder = sys.argv[1], Path(sys.argv[2])
store = open_store(url)
store.migrate()
config = Config(path=folder / "c.toml", router=RouterSettings(journal=folder), backends={}, experiments={})
begun = time.perf_counter()
count = Recorder(config, store).record()
print(sum(store.count_exchanges().values()), time.perf_counter() - begun)
"""


def loaded_elsewhere(url: str, folder: Path, exchanges: int) -> float:
    """Load a journal in a process of its own; returns exchanges a second."""
    command = [sys.executable, "-c", _LOADER, url, str(folder)]
    stored, took_s = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    if int(stored) < exchanges:
        raise RuntimeError(f"{exchanges} exchanges were journalled and {stored} stored")
    return int(stored) / float(took_s)


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement with traffic")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/performance.md as it is")
    options = parser.parse_args()
    out, rows = Console(), []
    begun = f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    begun = f"Measured on {begun}; load of the machine before it: {os.getloadavg()[0]:.1f}."
    with tempfile.TemporaryDirectory() as name:
        for what, figure, bar in measured(Path(name), options.seconds):
            rows.append(f"| {what} | {figure} | {bar} |\n")
            out.print(f"{what}: {figure} (bar: {bar})")
    if options.write:
        replace_part("beside", f"{begun}\n\n| what | measured | bar |\n|---|---|---|\n{''.join(rows)}")


Row = tuple[str, str, str]


def measured(folder: Path, seconds: float) -> Iterator[Row]:
    """Yield what was measured: what it is, the figure, the bar."""
    yield "CPU of the journal per exchange", f"{journal_us(folder / 'journal'):.1f} us", "6 us"
    idle, stream = connection_kib(_made(folder / "connections"))
    yield "memory per idle connection", f"{idle:.1f} KiB", "-"
    yield "memory per open stream, with its backend's connection", f"{stream:.1f} KiB", "-"
    yield _workers(folder, seconds)
    with postgres(None) as url:
        stores = {"SQLite": f"sqlite:///{folder / 'beside.db'}"} | ({"PostgreSQL": emptied(url)} if url else {})
        for store, address in stores.items():
            try:
                yield from _beside(store, *beside_traffic(folder / store, address, seconds, 60_000))
            except FileNotFoundError as error:
                yield f"recorder into {store} beside traffic", f"not measured: {error}", "10,000/s"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _workers(folder: Path, seconds: float) -> Row:
    what = f"two workers beside one, each held to {_SHARE:.0%} of a core"
    try:
        one, two = (answered_per_second(_made(folder / f"w{n}"), n, seconds) for n in (1, 2))
    except OSError as error:
        return what, f"not measured: {error}", "1.7 x"
    return what, f"{two / one:.2f} x ({one:,.0f}/s, {two:,.0f}/s)", "1.7 x"


def _beside(store: str, alone: list[float], beside: list[float], rate: float) -> Iterator[Row]:
    p50, p99 = ([quantile(values, q) * 1e3 for values in (alone, beside)] for q in (0.5, 0.99))
    said = f"p50 {p50[0]:.2f} -> {p50[1]:.2f} ms, p99 {p99[0]:.2f} -> {p99[1]:.2f} ms"
    yield f"recorder into {store}, beside {_RATE:,.0f} requests/s", f"{rate:,.0f} exchanges/s", "10,000/s"
    yield f"what that does to their latency ({store})", said, "p99 unharmed"


if __name__ == "__main__":
    main()
