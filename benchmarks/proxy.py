"""CPU per request and added latency of Touchstone beside nginx, HAProxy and LiteLLM: same backend, client and run.

    make bench

nginx (`split_clients`) and HAProxy (a hash of the header) split and log; Touchstone assigns and records every exchange.
LiteLLM routes between two deployments and logs nothing. A peer that is not installed is left out, and it is said. A
second Touchstone also mirrors a tenth of the requests, which are requests of their own. The CPU counted is that of the
serving processes: the peers', and Touchstone's proxy (its controller is printed apart). The client and the backend are
not counted. Rounds alternate, so a machine whose speed drifts harms all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.page import PAGE, Measured, quantile, write_page
from benchmarks.peers import Target, peers
from benchmarks.processes import cpu_seconds, free_port, python, resident_mib, running, tree

_CHAT = {
    "model": "support",
    "messages": [{"role": "user", "content": "Where is my order 123456? It should have come on Monday. " * 8}],
    "temperature": 0,
}
JSON_BODY = msgspec.json.encode(_CHAT)
SSE_BODY = msgspec.json.encode(_CHAT | {"stream": True})
# A millisecond between the pieces of a stream, as a model takes: each is a read and a write of its own.
_PIECE_BY_PIECE = ("--chunk-delay-ms", "1")
_HEADERS = {"content-type": "application/json"}
PATH = "/v1/chat/completions"
RATES = (100.0, 500.0)
"""Requests a second at which latencies are compared."""

_CONFIG = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
database = "sqlite:///bench.db"
journal = "journal"
http_transport = "{transport}"
workers = {workers}
[backends.original]
url = "http://127.0.0.1:{a}"
[backends.small]
url = "http://127.0.0.1:{b}"
[experiments.bench]
match = {{ path = "{path}", model = "support" }}
control = "original"
treatment = "small"
split_percent = {split}
mirror_percent = {mirror}
unit = "header:x-user-id"
[experiments.bench.guardrails]
agreement = {{ scorer = "agreement", margin = 0.9 }}
"""


@contextmanager
def touchstone(
    name: str, parent: Path, a: int, b: int, mirror: int, *, split: int = 50, transport: str = "http1", workers: int = 1
) -> Iterator[Target]:
    """`touchstone serve` in front of the two backends."""
    port, folder = free_port(), parent / f"{mirror}-{transport}-{workers}"
    folder.mkdir()
    config = folder / "config.toml"
    values = {"a": a, "b": b, "port": port, "admin": free_port(), "path": PATH, "mirror": mirror, "split": split}
    config.write_text(_CONFIG.format(**values, transport=transport, workers=workers))
    with running(python("-m", "router", "serve", "--config", str(config)), port, folder) as process:
        _wait_until_it_runs(values["admin"])
        time.sleep(1.0)  # by then every proxy has read that it does
        proxies, others = _by_role(tree(process.pid))
        yield Target(name, port, proxies, others, folder=folder)


def _wait_until_it_runs(admin: int) -> None:
    """Wait for the experiment's gate to open: before that nothing is split, and nothing mirrored."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/api/v1/experiments", timeout=5) as answer:
                if msgspec.json.decode(answer.read())[0]["phase"] == "running":
                    return
        except OSError:
            pass  # not up yet
        time.sleep(0.1)
    raise TimeoutError("the experiment does not run")


def _by_role(pids: list[int]) -> tuple[list[int], list[int]]:
    command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids}
    proxies = [pid for pid in pids if b"proxy" in command[pid]]
    return proxies, [pid for pid in pids if b"control" in command[pid]]


async def _one(session: aiohttp.ClientSession, url: str, body: bytes, number: int) -> float:
    started = time.perf_counter()
    async with session.post(url, data=body, headers={"x-user-id": f"user-{number % 997}"}) as response:
        response.raise_for_status()
        async for _ in response.content.iter_any():
            pass
    return time.perf_counter() - started


async def closed_loop(
    port: int, body: bytes, requests: int, concurrency: int, headers: dict[str, str] | None = None
) -> None:
    """Send `requests` as fast as `concurrency` connections allow."""
    numbers = iter(range(requests))
    async with aiohttp.ClientSession(headers=_HEADERS | (headers or {})) as session:

        async def worker() -> None:
            for number in numbers:
                await _one(session, f"http://127.0.0.1:{port}{PATH}", body, number)

        await asyncio.gather(*(worker() for _ in range(concurrency)))


async def fixed_rate(port: int, body: bytes, requests: int, rate: float) -> list[float]:
    """Send `requests` at a fixed rate, whatever the answers do; returns the latency of each in seconds."""
    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        started, tasks = asyncio.get_running_loop().time(), []
        for number in range(requests):
            await asyncio.sleep(max(0.0, started + number / rate - asyncio.get_running_loop().time()))
            tasks.append(asyncio.create_task(_one(session, f"http://127.0.0.1:{port}{PATH}", body, number)))
        return list(await asyncio.gather(*tasks))


def cpu_per_request(target: Target, load: Callable[[int], Awaitable[None]], requests: int) -> tuple[float, float]:
    """Return microseconds of CPU per request: of the target, and of what runs aside."""
    before = cpu_seconds(target.pids), cpu_seconds(target.aside)
    asyncio.run(load(requests))  # type: ignore[arg-type]
    time.sleep(0.3)
    after = cpu_seconds(target.pids), cpu_seconds(target.aside)
    return (after[0] - before[0]) / requests * 1e6, (after[1] - before[1]) / requests * 1e6


def measure_cpu(targets: list[Target], body: bytes, requests: int, rounds: int, title: str) -> dict[str, list[float]]:
    """Alternate over the targets, `rounds` times; returns target -> microseconds per request of each round.

    A peer that refuses such requests is left out, and it is said.
    """
    targets = [target for target in targets if _warmed_up(target, body, requests)]
    found: dict[str, list[float]] = {target.name: [] for target in targets}
    found |= {f"{target.name}: controller": [] for target in targets if target.aside}
    for _ in track(range(rounds), description=title):
        for target in targets:
            served, aside = cpu_per_request(
                target, lambda n, t=target: closed_loop(t.port, body, n, 8, t.headers), requests // target.slowness
            )
            found[target.name].append(served)
            if target.aside:
                found[f"{target.name}: controller"].append(aside)
    return found


def _warmed_up(target: Target, body: bytes, requests: int) -> bool:
    """Send some requests first; returns whether they were answered."""
    try:
        asyncio.run(closed_loop(target.port, body, max(50, requests // 10 // target.slowness), 8, target.headers))
    except aiohttp.ClientResponseError as error:
        Console().print(f"{target.name} answers these requests with {error.status}: it is left out of them.")
        return False
    return True


def measure_latency(
    targets: list[Target], direct: int, rate: float, seconds: float, rounds: int
) -> dict[str, list[float]]:
    """Latency at a fixed rate in requests a second; returns name -> seconds of every request."""
    targets = [target for target in targets if target.slowness == 1]  # LiteLLM does not keep up with 100 a second here
    found: dict[str, list[float]] = {"direct": [], **{target.name: [] for target in targets}}
    ports = {"direct": direct, **{target.name: target.port for target in targets}}
    for _ in track(range(rounds), description=f"latency at {rate:.0f}/s    "):
        for name, port in ports.items():
            found[name] += asyncio.run(fixed_rate(port, JSON_BODY, round(seconds * rate), rate))
    return found


def print_cpu(out: Console, title: str, found: dict[str, list[float]]) -> None:
    """Print one CPU table: medians, ranges, and the ratio to nginx round by round."""
    table = Table("", "CPU per request", "range", "ratio to nginx", title=title, title_justify="left")
    for name, values in found.items():
        if not values:
            continue
        ratios = [a / b for a, b in zip(values, found.get("nginx", []), strict=False) if b]
        ratio = f"{statistics.median(ratios):.1f} x" if ratios and name != "nginx" else "-"
        table.add_row(name, f"{statistics.median(values):.0f} us", f"{min(values):.0f}-{max(values):.0f}", ratio)
    out.print(table)


def print_latency(out: Console, rate: float, found: dict[str, list[float]]) -> None:
    """Print the added latency beside the direct way."""
    title = f"Latency at {rate:.0f} requests/s"
    table = Table("", "p50", "added", "p99", "added", title=title, title_justify="left")
    base = [quantile(found["direct"], share) * 1e3 for share in (0.5, 0.99)]
    for name, values in found.items():
        p50, p99 = (quantile(values, share) * 1e3 for share in (0.5, 0.99))
        table.add_row(name, f"{p50:.2f} ms", f"{p50 - base[0]:+.2f}", f"{p99:.2f} ms", f"{p99 - base[1]:+.2f}")
    out.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000, help="JSON requests a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--mirror",
        type=int,
        default=10,
        choices=range(1, 101),
        metavar="PERCENT",
        help="share of requests that the second Touchstone mirrors",
    )
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/performance.md as it is")
    parser.add_argument("--brief", action="store_true", help="CPU beside nginx only, in some minutes; writes nothing")
    options = parser.parse_args()
    out = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a, b = free_port(), free_port()
        for port in (a, b):
            stack.enter_context(
                running(python("-m", "router.fakes", "--port", str(port), *_PIECE_BY_PIECE), port, folder)
            )
        targets = peers(stack, folder, a, b, out, only=("nginx",) if options.brief else ())
        mirrored, client = f"touchstone, {options.mirror} % mirrored", "touchstone, aiohttp's client"
        targets.append(stack.enter_context(touchstone("touchstone", folder, a, b, 0)))
        targets.append(stack.enter_context(touchstone(mirrored, folder, a, b, options.mirror)))
        if not options.brief:
            targets.append(stack.enter_context(touchstone(client, folder, a, b, 0, transport="aiohttp")))
        json_cpu = measure_cpu(targets, JSON_BODY, options.requests, options.rounds, "CPU, JSON           ")
        sse_cpu = measure_cpu(targets, SSE_BODY, options.requests // 5, options.rounds, "CPU, SSE            ")
        rates = () if options.brief else RATES
        latency = {rate: measure_latency(targets, a, rate, 2.0, options.rounds) for rate in rates}
        memory = {target.name: resident_mib(target.pids) for target in targets}
        out.print("\nSimulated backends on loopback; Touchstone records every exchange.")
        print_cpu(out, "JSON request", json_cpu)
        print_cpu(out, "Stream of 100 chunks (SSE)", sse_cpu)
        for rate, found in latency.items():
            print_latency(out, rate, found)
        out.print("Resident memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in memory.items()))
        if options.write and not options.brief:
            write_page(Measured(json_cpu, sse_cpu, latency, memory), options.rounds)
            out.print(f"Written to {PAGE.relative_to(PAGE.parents[1])}.")


if __name__ == "__main__":
    main()
