"""Where each microsecond of a request goes: the proxy's Python stacks, sampled while it serves; and the flame graph.

    pip install py-spy
    python -m benchmarks.profile [--seconds 20]

py-spy looks at the proxy 500 times a second from outside. A sample counts for the part of the way that is deepest in
its stack; system calls and C code count for whoever called them. The share of a part times the CPU per request, which
is measured in the same run, is its microseconds. Written to docs/performance.md, and to docs/images/flame-json.svg and
-stream.svg.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.page import replace_part
from benchmarks.processes import cpu_seconds, free_port, python, running
from benchmarks.proxy import JSON_BODY, SSE_BODY, closed_loop, touchstone

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_PER_SECOND = 500
PARTS = (
    ("journal: encode and write", ("router/journal.py", "experiments/journal/")),
    ("figures for Prometheus", ("router/telemetry/metrics.py",)),
    ("timing and recording", ("router/recording.py", "router/timing.py")),
    ("assignment", ("experiments/assignment.py",)),
    ("finding the experiment, mirror or not", ("router/routes.py", "mirror_choice.py", "experiments/mirroring.py")),
    ("planning", ("router/proxy.py", "router/plan.py")),
    ("headers, both ways", ("router/headers.py", "router/direct/heads.py")),
    ("choosing the endpoint, circuit breaker", ("router/upstream/upstream.py", "router/upstream/endpoint.py",
                                                "router/upstream/ejection.py", "router/upstream/retry_budget.py")),
    ("backend's connection: parse, send, pool", ("router/upstream/transports/",)),
    ("mirrored requests", ("router/shadow.py",)),
    ("the short way's states, writing to the client", ("router/direct/",)),
    ("client's connection: parse and check", ("router/front/", "uvicorn/protocols/")),
    ("polling, publishing, other threads", ("threading.py", "sqlalchemy/", "experiments/store.py")),
)  # fmt: skip
"""What a part is called, and the files that belong to it; a frame belongs to the first that names it."""
_WAITING = re.compile(r"\((threading|router/commandline/processes)\.py:\d+\)$")
"""Where a thread waits: for its turn, or for the process that started this one to end."""
LOOP = "the loop: epoll, reading and writing sockets"


def part_of(stack: Iterable[str]) -> str:
    """Return the part that a stack counts for.

    Args:
        stack: Frames as `function (file:line)`, the outermost first.

    >>> part_of(["run (uvicorn/server.py:75)", "append (router/journal.py:110)", "encode (msgspec/x.py:1)"])
    'journal: encode and write'
    >>> part_of(["run_proxy (router/processes/workers.py:9)", "run (uvloop/__init__.py:82)"])
    'the loop: epoll, reading and writing sockets'
    """
    for frame in reversed(list(stack)):
        where = re.search(r"\(([^:)]+)", frame)
        if where is None:
            continue
        for name, files in PARTS:
            if any(file in where[1] for file in files):
                return name
    return LOOP


def shares(raw: str) -> Counter[str]:
    """Count samples by part.

    Args:
        raw: py-spy's raw format: one stack a line, frames joined by semicolons, then how often it was seen.
    """
    found: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if _WAITING.search(stack):
            continue  # that is no work, though py-spy may take it for some
        found[part_of(stack.split(";"))] += int(count)
    return found


def table(what: str, found: Counter[str], cpu_us: float) -> str:
    """Return a table in Markdown: each part's share of the CPU per request."""
    total = sum(found.values())
    rows = [f"| {what}: {cpu_us:.0f} us of CPU | us | share |\n|---|---|---|\n"]
    rows += [
        f"| {name} | {cpu_us * count / total:.1f} | {count / total:.0%} |\n"
        for name, count in found.most_common()
        if count / total >= 0.005
    ]
    return "".join(rows)


def sampled(kind: str, body: bytes, seconds: float, spy: str, parent: Path) -> str:
    """Load a proxy, sample it, draw the flame graph; returns the table."""
    with ExitStack() as stack:
        a, b = free_port(), free_port()
        for port in (a, b):
            command = python("-m", "router.fakes", "--port", str(port), "--chunk-delay-ms", "1")
            stack.enter_context(running(command, port, parent))
        target = stack.enter_context(touchstone(kind, parent, a, b, 0))
        asyncio.run(closed_loop(target.port, body, 200, 8))
        requests = asyncio.run(_as_many(target.port, body, seconds / 4))
        before = cpu_seconds(target.pids)
        asyncio.run(closed_loop(target.port, body, requests, 8))
        cpu_us = (cpu_seconds(target.pids) - before) / requests * 1e6
        raw = _spy(spy, target.pids[0], "raw", parent / f"{kind}.raw", seconds / 2, target.port, body, requests * 2)
        _spy(spy, target.pids[0], "flamegraph", IMAGES / f"flame-{kind}.svg", seconds / 4, target.port, body, requests)
    return table("a JSON request" if kind == "json" else "a stream of 100 pieces", shares(raw), cpu_us)


async def _as_many(port: int, body: bytes, seconds: float) -> int:
    """Return how many requests fill so many seconds."""
    begun = time.perf_counter()
    await closed_loop(port, body, 200, 8)
    return max(200, int(200 * seconds / (time.perf_counter() - begun)))


def _spy(spy: str, pid: int, form: str, to: Path, seconds: float, port: int, body: bytes, requests: int) -> str:
    """Sample a process while it serves; threads that wait do not count. Returns what was written."""
    command = [spy, "record", "--pid", str(pid), "--format", form, "--output", str(to)]
    # In a picture, threads that wait would take most of the room.
    command += ["--gil"] if form == "flamegraph" else []
    command += ["--rate", str(_PER_SECOND), "--duration", str(max(1, round(seconds)))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        asyncio.run(closed_loop(port, body, requests, 8))
        process.wait(timeout=120)
    text = to.read_text(encoding="utf-8").replace(f"{IMAGES.parents[1]}/", "")
    to.write_text(text, encoding="utf-8")  # the picture names its command
    return text


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of load, for each kind of request")
    seconds = parser.parse_args().seconds
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{':'.join(sys.path)}") or shutil.which("py-spy")
    if spy is None:
        print("py-spy is not installed: pip install py-spy", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as name:
        folders = {kind: Path(name) / kind for kind in ("json", "stream")}
        for folder in folders.values():
            folder.mkdir()
        tables = [
            sampled("json", JSON_BODY, seconds, spy, folders["json"]),
            sampled("stream", SSE_BODY, seconds, spy, folders["stream"]),
        ]
    print("\n".join(tables))
    replace_part("parts", "\n".join(tables))


if __name__ == "__main__":
    main()
