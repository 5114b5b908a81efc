"""A pool of spot instances ends in the middle of traffic, as real processes do: no user has a failed request."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests_process import ProxyProcess, proxy_process

from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

CHAT = "/v1/chat/completions"
CONFIG = """
[backends.pool]
urls = ["{spot[0]}", "{spot[1]}", "{on_demand}"]
[backends.pool.spot]
urls = ["{spot[0]}", "{spot[1]}"]
notice_urls = ["{notices[0]}/v1/models", "{notices[1]}/v1/models"]
notice_interval_s = 0.2
[experiments.support]
match = {{ path = "/v1/chat/completions" }}
control = "pool"
treatment = "only"
unit = "header:x-user-id"
"""


@dataclass
class Pool:
    """A proxy in front of two spot instances and one machine on demand, each a process."""

    proxy: ProxyProcess
    spot: list[subprocess.Popen[bytes]]
    notices: list[FakeBackend]
    spot_urls: list[str]

    def served(self) -> Counter[str]:
        """Return how many whole answers each pool gave: `spot`, `on demand`."""
        whole = [exchange for exchange in self.proxy.exchanges() if not exchange.error]
        return Counter("spot" if exchange.endpoint in self.spot_urls else "on demand" for exchange in whole)

    def served_by(self, spot: int) -> int:
        """Return how many whole answers one instance gave."""
        return sum(e.endpoint == self.spot_urls[spot] and not e.error for e in self.proxy.exchanges())

    def drained(self) -> bool:
        """Whether the proxy's log says that a notice came."""
        return b"termination_noticed" in (self.proxy.folder / "log").read_bytes()


@pytest.fixture(name="pool")
def _pool(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    with ExitStack() as stack:

        def start(*options: str) -> Pool:
            processes, urls = zip(*(_fake(stack, *options) for _ in range(3)), strict=True)
            for url in urls:
                _wait_for(url)
            notices = [FakeBackend(Behaviour(status=404)) for _ in range(2)]
            config = CONFIG.format(
                spot=urls[:2], on_demand=urls[2], notices=[stack.enter_context(serving(fake)) for fake in notices]
            )
            proxy = stack.enter_context(proxy_process(tmp_path, urls[2], more=config))
            return Pool(proxy, list(processes[:2]), notices, list(urls[:2]))

        yield start


def _fake(stack: ExitStack, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    with bind("127.0.0.1:0") as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "router.fakes", "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait, 10)
    stack.callback(process.kill)
    return process, f"http://127.0.0.1:{port}"


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{url}/v1/models", timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


async def _ask(session: aiohttp.ClientSession, url: str, number: int, *, stream: bool) -> str:
    """Send one request; returns `whole`, `broken off` (after its first byte) or what the failure was."""
    body = {"messages": [{"role": "user", "content": f"question {number}"}], "stream": stream}
    got = b""
    try:
        async with session.post(url + CHAT, json=body, headers={"x-user-id": f"user-{number}"}) as response:
            async for piece in response.content.iter_any():
                got += piece
            if response.status != 200:
                return f"status {response.status}"
    except aiohttp.ClientPayloadError:
        return "broken off" if got else "failed"
    return "whole" if not stream or got.endswith(b"data: [DONE]\n\n") else "ended as if whole"


async def _load(url: str, count: int, *, streams: bool = False, concurrency: int = 16) -> Counter[str]:
    """Send requests, every second one a stream if there are to be any; returns what became of them."""
    numbers, outcomes = iter(range(count)), Counter[str]()

    async def user(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            outcomes[await _ask(session, url, number, stream=streams and number % 2 == 0)] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(user(session) for _ in range(concurrency)))
    return outcomes


async def test_a_spot_pool_killed_in_the_middle_of_traffic_fails_no_user(pool) -> None:
    running = pool("--delay-ms", "40")

    load = asyncio.ensure_future(_load(running.proxy.url, 400))
    for process in running.spot:
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    outcomes = await load

    assert outcomes == {"whole": 400}
    served = running.served()
    assert served["spot"] > 0 < served["on demand"]
    assert sum(served.values()) == 400, "each was recorded once"
    turned = [exchange for exchange in running.proxy.exchanges() if exchange.fallback]
    assert not turned, "the other variant was not asked: the experiment does not notice"


async def test_a_stream_that_has_begun_is_seen_to_break_off_and_an_instance_with_a_notice_ends_its_own(pool) -> None:
    running = pool("--chunk-delay-ms", "4")
    noticed, killed = 0, 1

    load = asyncio.ensure_future(_load(running.proxy.url, 120, streams=True))
    running.notices[noticed].behaviour = Behaviour()
    await asyncio.to_thread(_until, running.drained)
    before = running.served_by(noticed)
    running.spot[killed].send_signal(signal.SIGKILL)
    outcomes = await load

    assert set(outcomes) <= {"whole", "broken off"}, "no stream looks complete that is not"
    assert outcomes["broken off"] <= 16, "what was out to the instance that was killed"
    broken = [exchange for exchange in running.proxy.exchanges() if exchange.error]
    assert {(e.error, e.endpoint) for e in broken} <= {("reset", running.spot_urls[killed])}
    assert len(broken) == outcomes["broken off"]
    assert running.served_by(noticed) - before <= 16, "what was out to it when its notice came: nothing new"


def _until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
