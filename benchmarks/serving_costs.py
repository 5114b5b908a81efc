"""Measures what a request costs the proxy, and HAProxy before it: CPU, in rounds that alternate."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from sqlalchemy.exc import OperationalError

from benchmarks.peers import Target, haproxy
from benchmarks.processes import free_port, python, resident_mib, running
from benchmarks.proxy import JSON_BODY, SSE_BODY, closed_loop, cpu_per_request, touchstone
from experiments.model import Phase
from experiments.store import Store, open_store

_ROUNDS = 3


class Serving(NamedTuple):
    """Of the proxy and of what stands before it: microseconds of CPU, and memory."""

    request_us: float
    mirror_us: float
    stream_us: float
    proxy_mib: float
    balancer_us: float | None


def serving(out: Console, requests: int) -> Serving:
    """Measure proxies that mirror nothing and everything, and HAProxy where there is one, in rounds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        a, b = free_port(), free_port()
        for port in (a, b):
            fake = python("-m", "router.fakes", "--port", str(port), "--chunk-delay-ms", "1")
            stack.enter_context(running(fake, port, folder))
        plain = stack.enter_context(touchstone("plain", folder, a, b, 0))
        mirrored = stack.enter_context(touchstone("mirrored", folder, a, b, 100))
        targets = [plain, mirrored]
        for target in targets:
            _wait_until_running(f"sqlite:///{target.folder}/bench.db")
        with suppress(FileNotFoundError):
            targets.append(stack.enter_context(haproxy(folder, a, b)))
        json_us = _in_rounds(targets, JSON_BODY, requests, out)
        stream_us = _in_rounds([plain], SSE_BODY, max(50, requests // 15), out)
        memory_mib = resident_mib(plain.pids) / len(plain.pids)
    alone_us = json_us["plain"]
    return Serving(alone_us, json_us["mirrored"] - alone_us, stream_us["plain"], memory_mib, json_us.get("haproxy"))


def _wait_until_running(url: str, timeout_s: float = 60.0) -> None:
    """Wait until an experiment has passed its gate: before that nothing is mirrored, and control serves everyone."""
    store, until = open_store(url), time.monotonic() + timeout_s
    try:
        while not _is_running(store):
            if time.monotonic() > until:
                raise RuntimeError(f"the experiment did not begin within {timeout_s:g} s")
            time.sleep(0.2)
    finally:
        store.close()
    time.sleep(1.0)  # the proxies poll


def _is_running(store: Store) -> bool:
    try:
        return [route.phase for route in store.routes()] == [Phase.RUNNING]
    except OperationalError:  # its tables are not made yet
        return False


def _in_rounds(targets: list[Target], body: bytes, requests: int, out: Console) -> dict[str, float]:
    """Return microseconds of CPU a request; the first round warms up, and does not count."""
    found: dict[str, list[float]] = {target.name: [] for target in targets}
    for number in range(_ROUNDS + 1):
        for target in targets:
            found[target.name].append(cpu_per_request(target, _load(target, body), requests if number else 50)[0])
    out.print({name: [round(value) for value in values[1:]] for name, values in found.items()})
    return {name: median(values[1:]) for name, values in found.items()}


def _load(target: Target, body: bytes) -> Callable[[int], Awaitable[None]]:
    return lambda count: closed_loop(target.port, body, count, 8)
