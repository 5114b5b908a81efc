"""Four real proxies, a controller, and a real HAProxy with the shipped file in front; a load that notes everything."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests_deploy import DEPLOY, ROOT, installed

from experiments.store import Store, open_store
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

CHAT = "/v1/chat/completions"
SHIPPED_PORTS = (9081, 9082, 9083, 9084)
BUILD = "TOUCHSTONE_TEST_BUILD"
"""A variable by which the tests tell an old process from a new one: both run the same code."""

_EXPERIMENT = """
[experiments.{name}]
match = {{ path = "/v1/chat/completions", model = "{name}" }}
control = "original"
treatment = "small"
ramp = [50]
mirror_percent = 0
unit = "header:x-user-id"
[experiments.{name}.guardrails]
errors = {{ max_relative = 1.2, margin = 0.05 }}
[experiments.{name}.policy]
min_days = 7
settle_seconds = 1
"""
CONFIG = """
[router]
database = "sqlite:///t.db"
journal = "journal"
look_interval_s = 0.5
shutdown_grace_s = 10

[backends.original]
url = "{original}"
[backends.small]
url = "{small}"
""" + "".join(_EXPERIMENT.format(name=name).replace("{", "{{").replace("}", "}}") for name in ("support", "search"))


@dataclass
class Fleet:
    """What runs, and how to reach it."""

    folder: Path
    ports: list[int]
    url: str
    """Of HAProxy."""
    socket: Path
    """Of HAProxy's run-time interface."""
    store: Store
    backends: dict[str, FakeBackend]
    backend_urls: dict[str, str]
    proxies: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    """By port."""

    def spawn(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a `touchstone` command."""
        command = [sys.executable, "-m", "router", *words, "--config", str(self.folder / "config.toml")]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment)

    def start_proxy(self, port: int, build: str = "old") -> None:
        listen = {"TOUCHSTONE_ROUTER_LISTEN": f"127.0.0.1:{port}", BUILD: build}
        self.proxies[port] = self.spawn("proxy", **listen)

    def start_control(self, admin: int) -> subprocess.Popen[bytes]:
        return self.spawn("control", TOUCHSTONE_ROUTER_ADMIN=f"127.0.0.1:{admin}")

    def end_proxy(self, port: int, number: int = signal.SIGTERM) -> int:
        """Send a signal to a proxy and wait for its end; its exit code."""
        self.proxies[port].send_signal(number)
        return self.proxies[port].wait(20)

    def build(self, port: int) -> str:
        """Return the build of the process that serves a port."""
        variables = Path(f"/proc/{self.proxies[port].pid}/environ").read_bytes().split(b"\0")
        [found] = [text for text in variables if text.startswith(BUILD.encode())]
        return found.decode().partition("=")[2]

    def seen(self, port: int) -> dict[str, str]:
        """Return what HAProxy says of the proxy on a port, as `show stat` has it."""
        [row] = [row for row in self._stat() if row["svname"] == f"proxy-{port}"]
        return row

    def is_up(self, port: int) -> bool:
        row = self.seen(port)
        return row["status"] == "UP" and row["check_status"] == "L7OK"

    def _stat(self) -> list[dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.socket))
            client.sendall(b"show stat\n")
            text = client.makefile().read()
        return list(csv.DictReader(io.StringIO(text.removeprefix("# "))))

    def said(self) -> str:
        """Return the end of what the processes said."""
        return (self.folder / "log").read_text()[-5_000:]

    def asked(self) -> int:
        """Return how many requests have reached the backends."""
        return sum(backend.counts[CHAT] for backend in self.backends.values())

    def stored(self, experiment: str) -> Counter[str]:
        """Return exchange id -> how often it is in the store."""
        return Counter(row.exchange.id for row in self.store.exchanges(experiment, 1, 0, 10**9))


@dataclass
class Load:
    """A steady load, of which every fourth request is a stream; nothing is tried again.

    Attributes:
        url: Where to.
        model: That is asked for; of this name is the experiment.
        variants: User -> the variants that the user was answered by.
        exchanges: Ids of the exchanges of which the whole answer came.
        failed: When a request began that had no whole answer, in seconds of `time.monotonic`, and why.
    """

    url: str
    model: str = "support"
    variants: dict[str, set[str]] = field(default_factory=dict)
    exchanges: list[str] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    streams: int = 0
    """How many of those exchanges were streams."""
    sent: int = 0

    async def run(self, workers: int = 8, pause_s: float = 0.05) -> None:
        """Send until `end` is called."""
        self._going = True

        async def worker(session: aiohttp.ClientSession) -> None:
            while self._going:
                self.sent += 1
                user = f"user-{(self.sent * 7) % 60}"
                await self.ask(session, user, stream=self.sent % 4 == 0)
                await asyncio.sleep(pause_s)

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            await asyncio.gather(*(worker(session) for _ in range(workers)))

    def end(self) -> None:
        """Send nothing more; `run` ends when the last answer has come."""
        self._going = False

    async def ask(self, session: aiohttp.ClientSession, user: str, *, stream: bool, url: str = "") -> str:
        """Ask once and note what came; the variant, or nothing."""
        began = time.monotonic()
        body = {"model": self.model, "stream": stream, "messages": [{"role": "user", "content": f"of {user}"}]}
        try:
            async with session.post((url or self.url) + CHAT, json=body, headers={"x-user-id": user}) as response:
                text = (await response.read()).decode()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append((began, repr(error)))
            return ""
        whole = text.endswith("data: [DONE]\n\n") if stream else text.startswith("{")
        if response.status != 200 or not whole:
            self.failed.append((began, f"{response.status} {text[-100:]}"))
            return ""
        variant = said(text, stream=stream).partition(" ")[0]
        self.streams += stream
        self.exchanges.append(response.headers["x-touchstone-exchange"])
        self.variants.setdefault(user, set()).add(variant)
        return variant


def said(text: str, *, stream: bool) -> str:
    """Return what a chat's answer says."""
    if not stream:
        return str(json.loads(text)["choices"][0]["message"]["content"])
    events = [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n")[:-2]]
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events)


def shipped_haproxy(folder: Path, front: int, ports: list[int], *, hurried: bool) -> Path:
    """Write the shipped file with ports and paths of a test, to be run by whoever runs the test.

    Args:
        folder: Where to.
        front: Port of HAProxy.
        ports: Of the proxies.
        hurried: Ask for health three times as often, so that replacing four takes the test less time.
    """
    text = (DEPLOY / "haproxy.cfg").read_text()
    changes = {
        f"proxy-{shipped} 127.0.0.1:{shipped}": f"proxy-{port} 127.0.0.1:{port}"
        for shipped, port in zip(SHIPPED_PORTS, ports, strict=True)
    }
    changes |= {
        "bind :8080": f"bind 127.0.0.1:{front}",
        "127.0.0.1:8404": f"127.0.0.1:{free_port()}",
        "/run/haproxy/admin.sock": str(folder / "sock"),
        "    user haproxy\n    group haproxy\n": "",
    }
    if hurried:
        changes["inter 1s fastinter 250ms downinter 500ms"] = "inter 300ms fastinter 100ms downinter 150ms"
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


def nginx_file(folder: Path, front: int, ports: list[int]) -> Path:
    """Write the equivalent for nginx, as the page has it, with ports of a test, and what a whole file needs around it.

    Args:
        folder: Where to; for what nginx itself writes, too.
        front: Port of nginx; 0 for a free one.
        ports: Of the proxies.
    """
    page = (ROOT / "docs" / "how-to" / "load-balancer.md").read_text()
    text = page.partition("```nginx\n")[2].partition("```")[0]
    for old, new in (("listen 8080", f"listen 127.0.0.1:{front or free_port()}"), *_addresses(ports).items()):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds) + "access_log off;\n"
    path = folder / "nginx.conf"
    path.write_text(f"daemon off; pid {folder}/pid;\nevents {{}}\nhttp {{\n{own}{text}}}\n")
    return path


def _addresses(ports: list[int]) -> dict[str, str]:
    return {f"127.0.0.1:{old}": f"127.0.0.1:{new}" for old, new in zip(SHIPPED_PORTS, ports, strict=True)}


def free_port() -> int:
    with bind("127.0.0.1:0") as probe:
        return int(probe.getsockname()[1])


@contextmanager
def fleet(admin: int, *, hurried: bool = False) -> Iterator[tuple[Fleet, subprocess.Popen[bytes]]]:
    """Run four proxies behind HAProxy and a controller; yields them and the controller's process.

    Args:
        admin: Port of the controller.
        hurried: As of `shipped_haproxy`.
    """
    program = installed("haproxy")
    # Not under pytest's folder: the path of a socket may have hardly a hundred characters.
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        backends = {
            name: FakeBackend(Behaviour(f"{name} {{}}".format, chunks=10, chunk_delay_ms=60))
            for name in ("original", "small")
        }
        urls = {name: stack.enter_context(serving(backend)) for name, backend in backends.items()}
        (folder / "config.toml").write_text(CONFIG.format(**urls))
        ports, front = [free_port() for _ in SHIPPED_PORTS], free_port()
        store = stack.enter_context(closing(open_store(f"sqlite:///{folder}/t.db")))
        running = Fleet(folder, ports, f"http://127.0.0.1:{front}", folder / "sock", store, backends, urls)
        stack.callback(lambda: [end(process) for process in running.proxies.values()])
        control = running.start_control(admin)
        stack.callback(end, control)
        for port in ports:
            running.start_proxy(port)
        path = shipped_haproxy(folder, front, ports, hurried=hurried)
        with (folder / "haproxy.log").open("wb") as log:
            balancer = subprocess.Popen([program, "-db", "-f", str(path)], stdout=log, stderr=log)
        stack.callback(end, balancer)
        wait_for(lambda: control.poll() is not None or answers(f"http://127.0.0.1:{admin}/readyz"), running)
        assert control.poll() is None, running.said()
        wait_for(lambda: _is_running(admin), running)
        for port in ports:
            wait_for(lambda port=port: answers(f"http://127.0.0.1:{port}/_touchstone/readyz"), running)  # type: ignore[misc]
            wait_for(lambda port=port: running.is_up(port), running)  # type: ignore[misc]
        time.sleep(0.5)  # by then every proxy has read that the experiments run
        yield running, control


def _is_running(admin: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/api/v1/experiments", timeout=10) as response:
        found = json.loads(response.read())
    return [experiment["phase"] for experiment in found] == ["running"] * 2


@contextmanager
def nginx(running: Fleet) -> Iterator[str]:
    """Run nginx in front of the proxies too, for the length of the block; yields its URL."""
    front = free_port()
    path = nginx_file(running.folder, front, running.ports)
    command = [installed("nginx"), "-e", "stderr", "-p", str(running.folder), "-c", str(path)]
    with (running.folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{front}"
        wait_for(lambda: answers(f"{url}/_touchstone/healthz"), running)
        yield url
    finally:
        process.terminate()  # not killed: it ends its workers
        process.wait(10)


def answers(url: str) -> bool:
    """Whether a URL is answered with success."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (OSError, urllib.error.HTTPError):
        return False
    return True


def wait_for(condition: Callable[[], bool], running: Fleet, seconds: float = 150.0) -> None:
    """Wait until something is so; if it never is, show what the processes said."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, running.said()
        time.sleep(0.05)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that a test has started, at once."""
    process.kill()
    process.wait()
