"""CPU per request and added latency of Touchstone beside nginx: same backend, same client, same run.

    make bench

nginx splits (`split_clients`) and logs; Touchstone assigns and records every exchange. A second Touchstone beside it
also mirrors a tenth of the requests, which are requests of their own. The CPU counted is that of the serving processes:
nginx's, and Touchstone's proxy (its controller is printed apart). The client and the backend are not counted. Rounds
alternate, so a machine whose speed drifts harms all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console
from rich.progress import track
from rich.table import Table

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
_PATH = "/v1/chat/completions"

_CONFIG = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
database = "sqlite:///bench.db"
journal = "journal"
[backends.original]
url = "http://127.0.0.1:{a}"
[backends.small]
url = "http://127.0.0.1:{b}"
[experiments.bench]
match = {{ path = "{path}", model = "support" }}
control = "original"
treatment = "small"
split_percent = 50
mirror_percent = {mirror}
unit = "header:x-user-id"
[experiments.bench.guardrails]
agreement = {{ scorer = "agreement", margin = 0.9 }}
"""

_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log access.log; keepalive_requests 1000000;
  split_clients "$http_x_user_id" $pool {{ 50% small; * original; }}
  upstream original {{ server 127.0.0.1:{a}; keepalive 64; keepalive_requests 1000000; }}
  upstream small {{ server 127.0.0.1:{b}; keepalive 64; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://$pool; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


@dataclass
class Target:
    """Something that answers, and the processes whose CPU counts."""

    name: str
    port: int
    pids: list[int] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)
    """Processes that are metered but not counted: the controller."""


@contextmanager
def nginx(folder: Path, a: int, b: int) -> Iterator[Target]:
    """Nginx in front of the two backends."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(a=a, b=b, port=port))
    command = [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with running(command, port, folder) as process:
        yield Target("nginx", port, tree(process.pid))


@contextmanager
def touchstone(name: str, parent: Path, a: int, b: int, mirror: int) -> Iterator[Target]:
    """`touchstone serve` in front of the two backends."""
    port, folder = free_port(), parent / str(mirror)
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(_CONFIG.format(a=a, b=b, port=port, admin=free_port(), path=_PATH, mirror=mirror))
    with running(python("-m", "router", "serve", "--config", str(config)), port, folder) as process:
        time.sleep(2.0)  # children up, first routes read
        proxies, others = _by_role(tree(process.pid))
        yield Target(name, port, proxies, others)


def _by_role(pids: list[int]) -> tuple[list[int], list[int]]:
    command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids}
    proxies = [pid for pid in pids if b"proxy" in command[pid]]
    return proxies, [pid for pid in pids if b"control" in command[pid]]


async def _one(session: aiohttp.ClientSession, url: str, body: bytes, number: int) -> float:
    started = time.perf_counter()
    async with session.post(url, data=body, headers=_HEADERS | {"x-user-id": f"user-{number % 997}"}) as response:
        response.raise_for_status()
        async for _ in response.content.iter_any():
            pass
    return time.perf_counter() - started


async def closed_loop(port: int, body: bytes, requests: int, concurrency: int) -> None:
    """Send `requests` as fast as `concurrency` connections allow."""
    numbers = iter(range(requests))
    async with aiohttp.ClientSession() as session:

        async def worker() -> None:
            for number in numbers:
                await _one(session, f"http://127.0.0.1:{port}{_PATH}", body, number)

        await asyncio.gather(*(worker() for _ in range(concurrency)))


async def fixed_rate(port: int, body: bytes, requests: int, rate: float) -> list[float]:
    """Send `requests` at a fixed rate, whatever the answers do; returns the latency of each in seconds."""
    async with aiohttp.ClientSession() as session:
        started, tasks = asyncio.get_running_loop().time(), []
        for number in range(requests):
            await asyncio.sleep(max(0.0, started + number / rate - asyncio.get_running_loop().time()))
            tasks.append(asyncio.create_task(_one(session, f"http://127.0.0.1:{port}{_PATH}", body, number)))
        return list(await asyncio.gather(*tasks))


def cpu_per_request(target: Target, load: Callable[[int], Awaitable[None]], requests: int) -> tuple[float, float]:
    """Return microseconds of CPU per request: of the target, and of what runs aside."""
    before = cpu_seconds(target.pids), cpu_seconds(target.aside)
    asyncio.run(load(requests))  # type: ignore[arg-type]
    time.sleep(0.3)
    after = cpu_seconds(target.pids), cpu_seconds(target.aside)
    return (after[0] - before[0]) / requests * 1e6, (after[1] - before[1]) / requests * 1e6


def measure_cpu(targets: list[Target], body: bytes, requests: int, rounds: int, title: str) -> dict[str, list[float]]:
    """Alternate over the targets, `rounds` times; returns target -> microseconds per request of each round."""
    found: dict[str, list[float]] = {target.name: [] for target in targets}
    found |= {f"{target.name}: controller": [] for target in targets if target.aside}
    for target in targets:
        asyncio.run(closed_loop(target.port, body, max(50, requests // 10), 8))  # warm up
    for _ in track(range(rounds), description=title):
        for target in targets:
            served, aside = cpu_per_request(target, lambda n, t=target: closed_loop(t.port, body, n, 8), requests)
            found[target.name].append(served)
            if target.aside:
                found[f"{target.name}: controller"].append(aside)
    return found


def measure_latency(targets: list[Target], direct: int, requests: int, rounds: int) -> dict[str, list[float]]:
    """Latency at 100 requests a second; returns name -> seconds of every request."""
    found: dict[str, list[float]] = {"direct": [], **{target.name: [] for target in targets}}
    ports = {"direct": direct, **{target.name: target.port for target in targets}}
    for _ in track(range(rounds), description="latency at 100/s    "):
        for name, port in ports.items():
            found[name] += asyncio.run(fixed_rate(port, JSON_BODY, requests, 100.0))
    return found


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


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


def print_latency(out: Console, found: dict[str, list[float]]) -> None:
    """Print the added latency beside the direct way."""
    table = Table("", "p50", "added", "p99", "added", title="Latency at 100 requests/s", title_justify="left")
    base = [_quantile(found["direct"], share) * 1e3 for share in (0.5, 0.99)]
    for name, values in found.items():
        p50, p99 = (_quantile(values, share) * 1e3 for share in (0.5, 0.99))
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
    options = parser.parse_args()
    out = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a, b = free_port(), free_port()
        for port in (a, b):
            stack.enter_context(
                running(python("-m", "router.fakes", "--port", str(port), *_PIECE_BY_PIECE), port, folder)
            )
        targets = []
        if shutil.which("nginx"):
            targets.append(stack.enter_context(nginx(folder, a, b)))
        else:
            out.print("nginx is not installed (Debian: nginx-light): Touchstone is measured without its peer.")
        for name, mirror in (("touchstone", 0), (f"touchstone, {options.mirror} % mirrored", options.mirror)):
            targets.append(stack.enter_context(touchstone(name, folder, a, b, mirror)))
        json_cpu = measure_cpu(targets, JSON_BODY, options.requests, options.rounds, "CPU, JSON           ")
        sse_cpu = measure_cpu(targets, SSE_BODY, options.requests // 5, options.rounds, "CPU, SSE            ")
        latency = measure_latency(targets, a, 200, options.rounds)
        memory = {target.name: resident_mib(target.pids) for target in targets}
        out.print("\nSimulated backends on loopback; Touchstone records every exchange.")
        print_cpu(out, "JSON request", json_cpu)
        print_cpu(out, "Stream of 100 chunks (SSE)", sse_cpu)
        print_latency(out, latency)
        out.print("Resident memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in memory.items()))


if __name__ == "__main__":
    main()
