"""`touchstone serve` as a real process, between real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from experiments.store import Store, open_store
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

CHAT = "/v1/chat/completions"

CONFIG = """
[router]
listen = "127.0.0.1:{port}"
admin = "127.0.0.1:{admin}"
workers = {workers}
database = "{database}"
journal = "journal"
look_interval_s = 0.3
shutdown_grace_s = 5

[backends.original]
url = "{control}"
price = {{ input = 1.0, output = 1.0 }}
[backends.small]
url = "{treatment}"
price = {{ input = 0.5, output = 0.5 }}

[experiments.support]
match = {{ path = "/v1/chat/completions", model = "support" }}
control = "original"
treatment = "small"
ramp = {ramp}
mirror_percent = {mirror}
unit = "header:x-user-id"
slices = {slices}
[experiments.support.guardrails]
agreement = {{ scorer = "agreement", margin = 0.05 }}
errors = {{ max_relative = 1.2, margin = 0.05 }}
[experiments.support.goals]
cost = {{ better_by = "30%" }}
[experiments.support.monitors]
thumbs_up = {{ feedback = true }}
[experiments.support.policy]
min_days = {min_days}
min_units = 100
stage_min_units = 50
stage_min_minutes = 0
settle_seconds = 1
"""


def free_port() -> int:
    with bind("127.0.0.1:0") as probe:
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A running `touchstone serve`."""

    process: subprocess.Popen[bytes]
    config: Path
    url: str
    admin: str
    store: Store
    control: FakeBackend
    treatment: FakeBackend
    answered: list[str] = field(default_factory=list)
    prompt: Callable[[int], str] = "question {}".format
    """Number of a request -> what its user asks."""

    def pids(self, role: str) -> list[int]:
        """Process ids of the children of a role: `proxy` or `control`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if role.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.admin}{path}", timeout=10) as response:
            return json.loads(response.read())

    async def send(
        self, count: int, *, users: int = 10**9, per_second: float = 0, first: int = 0, concurrency: int = 16
    ) -> None:
        """Send requests and note the exchange id of every whole answer; failures of the connection are the caller's."""
        numbers = iter(range(first, first + count))
        started = time.monotonic()

        async def worker(session: aiohttp.ClientSession) -> None:
            for number in numbers:
                if per_second:
                    await asyncio.sleep(max(0.0, started + (number - first) / per_second - time.monotonic()))
                await self.ask(session, number, users)

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(worker(session) for _ in range(concurrency)))

    async def ask(self, session: aiohttp.ClientSession, number: int, users: int) -> None:
        body = {"model": "support", "messages": [{"role": "user", "content": self.prompt(number)}]}
        headers = {"x-user-id": f"user-{number % users}", "x-language": ("en", "hi")[number % 2]}
        try:
            async with session.post(self.url + CHAT, json=body, headers=headers) as response:
                await response.read()
                if response.status == 200:
                    self.answered.append(response.headers["x-touchstone-exchange"])
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.1)
        return condition()

    def phase(self) -> str:
        return str(self.get("/api/v1/experiments")[0]["phase"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    with ExitStack() as stack:

        def start(
            *,
            ramp: str = "[50]",
            mirror: float = 20,
            workers: int = 1,
            min_days: float = 7,
            database: str = "sqlite:///t.db",
            slices: str = '["header:x-language"]',
            extra: str = "",
            treatment_behaviour: Behaviour | None = None,
            until: str = "running",
        ) -> Served:
            control, treatment = FakeBackend(), FakeBackend(treatment_behaviour or Behaviour())
            urls = [stack.enter_context(serving(backend)) for backend in (control, treatment)]
            port, admin = free_port(), free_port()
            config = tmp_path / "config.toml"
            config.write_text(
                CONFIG.format(
                    port=port,
                    admin=admin,
                    workers=workers,
                    control=urls[0],
                    treatment=urls[1],
                    ramp=ramp,
                    mirror=mirror,
                    min_days=min_days,
                    database=database,
                    slices=slices,
                )
                + extra
            )
            log = stack.enter_context((tmp_path / "serve.log").open("wb"))
            command = [sys.executable, "-m", "router", "serve", "--config", str(config)]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_end, process)
            url = database.replace("sqlite:///", f"sqlite:///{tmp_path}/")
            store = stack.enter_context(closing(open_store(url)))
            running = Served(
                process, config, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", store, control, treatment
            )
            assert running.wait_for(lambda: _ready(running, until)), (tmp_path / "serve.log").read_text()
            time.sleep(0.5)  # by then every proxy has read that it runs
            return running

        yield start


def _ready(running: Served, phase: str) -> bool:
    try:
        for url in (f"{running.url}/_touchstone/readyz", f"{running.admin}/readyz"):
            urllib.request.urlopen(url, timeout=5).read()
        return running.phase() == phase
    except (OSError, IndexError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
