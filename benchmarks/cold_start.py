"""What the first user waits, with warm-up requests and without: `python -m benchmarks.cold_start`.

Each round starts a backend anew, then `touchstone proxy` in front of it, and sends requests one after the other as soon
as it serves. The backend is a fake that is SIMULATED to be cold for a while, unless `--backend` names the command of a
real one; what is measured is what the router makes of it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import free_port, wait_for_port

CHAT = "/v1/chat/completions"
BODY = {"model": "support", "max_tokens": 8, "messages": [{"role": "user", "content": "Where is my parcel?"}]}
FAKE = "{python} -m router.fakes --port {{port}} --delay-ms 20 --cold-start-ms {cold_ms:g}"
CONFIG = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
default_backend = "only"
[backends.only]
url = "http://127.0.0.1:{backend}"
"""
WARMUP = """
[backends.only.warmup]
requests = "warmup.jsonl"
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-ms", type=float, default=3_000.0, help="what the fake's first request waits longer")
    parser.add_argument("--backend", help="command of a real server, with {port} where its port belongs")
    parser.add_argument("--ready", default="", help="path that a real server answers with 200 once it may be asked")
    options = parser.parse_args()
    command = options.backend or FAKE.format(python=sys.executable, cold_ms=options.cold_ms)
    kind = "real backend" if options.backend else f"fake backend, SIMULATED to be cold for {options.cold_ms:g} ms"
    print(f"{kind}; {options.rounds} rounds, medians [smallest to largest] in ms\n")
    print("| warm-up | first request | the next ten | until the router serves |")
    print("|---|---|---|---|")
    for warmup in (False, True):
        found = [measure(command, options.ready, warmup=warmup) for _ in range(options.rounds)]
        print(f"| {'on' if warmup else 'off'} | " + " | ".join(map(_spread, zip(*found, strict=True))) + " |")


def _spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f} to {max(values):,.0f}]"


def measure(command: str, ready: str, *, warmup: bool) -> tuple[float, float, float]:
    """Return the first request's latency, the median of the next ten, and the router's time to serve, all in ms.

    Args:
        command: Of the backend, with `{port}`.
        ready: Path to wait for before the router is started; empty for the port alone.
        warmup: Whether the router sends warm-up requests.
    """
    with tempfile.TemporaryDirectory() as name, _backend(command, ready) as backend:
        folder, port = Path(name), free_port()
        config = folder / "config.toml"
        text = CONFIG.format(port=port, admin=free_port(), backend=backend) + (WARMUP if warmup else "")
        config.write_text(text, encoding="utf-8")
        (folder / "warmup.jsonl").write_text(json.dumps({"path": CHAT, "body": BODY}) + "\n", encoding="utf-8")
        started = time.perf_counter()
        with _running([sys.executable, "-m", "router", "proxy", "--config", str(config)]):
            _wait_for(f"http://127.0.0.1:{port}/_touchstone/healthz")
            served_ms = (time.perf_counter() - started) * 1e3
            first, *others = (_ask_ms(f"http://127.0.0.1:{port}{CHAT}") for _ in range(11))
    return first, statistics.median(others), served_ms


@contextmanager
def _backend(command: str, ready: str) -> Iterator[int]:
    port = free_port()
    with _running(shlex.split(command.format(port=port))):
        wait_for_port(port, timeout_s=120)
        if ready:
            _wait_for(f"http://127.0.0.1:{port}{ready}")
        yield port


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # loopback
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"{url} does not answer after {timeout_s:g} s")


def _ask_ms(url: str) -> float:
    request = urllib.request.Request(url, json.dumps(BODY).encode(), {"content-type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as response:  # loopback
        response.read()
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    main()
