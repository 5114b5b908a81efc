"""Four proxies behind HAProxy with the shipped file: one is killed, one is ended, and users notice what they must."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import aiohttp
import pytest
from tests_fleet import CHAT, Fleet, Load, fleet, free_port, nginx, wait_for

from router.fakes.backend import Behaviour

pytestmark = pytest.mark.cluster


@pytest.fixture(name="admin", scope="module")
def _admin() -> int:
    return free_port()


@pytest.fixture(name="running", scope="module")
def _running(admin: int) -> Iterator[Fleet]:
    with fleet(admin) as (running, _):
        yield running


@dataclass
class Lockstep(Behaviour):
    """Streams a piece only when the one before has been read by the client."""

    read: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    async def pieces(self, text: str) -> AsyncIterator[str]:
        for number, piece in enumerate(text.split(" ")):
            if number and not await asyncio.to_thread(self.read.acquire, timeout=10):
                return
            yield piece


async def test_a_unit_gets_the_same_variant_through_any_proxy(running: Fleet) -> None:
    load = Load(running.url)
    urls = [running.url, *(f"http://127.0.0.1:{port}" for port in running.ports)]
    async with aiohttp.ClientSession() as session:
        for user in range(24):
            for url in urls:
                await load.ask(session, f"user-{user}", stream=False, url=url)

    assert load.failed == []
    assert {len(variants) for variants in load.variants.values()} == {1}
    assert {next(iter(variants)) for variants in load.variants.values()} == {"original", "small"}


@pytest.mark.parametrize("balancer", ["haproxy", "nginx"])
async def test_a_stream_passes_piece_by_piece_and_byte_for_byte(running: Fleet, balancer: str) -> None:
    """The backend sends no piece before the client has read the one before: if any were held back, all would wait."""
    before = {name: backend.behaviour for name, backend in running.backends.items()}
    steps = Lockstep("one two three four five six seven".format)
    try:
        for backend in running.backends.values():
            backend.behaviour = steps
        with ExitStack() as stack:
            url = running.url if balancer == "haproxy" else stack.enter_context(nginx(running))
            seen = await read_in_lockstep(url, steps)
        plain = await read_in_lockstep(running.backend_urls["original"], steps)
    finally:
        for name, backend in running.backends.items():
            backend.behaviour = before[name]

    assert seen.count(b"\n\n") == 9, "seven pieces, one that says why it ends, and the last word"
    assert seen == plain, "what the backend says when it is asked without anything in between"


async def read_in_lockstep(url: str, steps: Lockstep) -> bytes:
    """Read a stream, and let the backend go on by one piece after each event that has come whole."""
    body = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "count"}]}
    seen = b""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
        session.post(url + CHAT, json=body, headers={"x-user-id": "reader"}) as response,
    ):
        async for piece in response.content.iter_any():
            events = seen.count(b"\n\n")
            seen += piece
            for _ in range(seen.count(b"\n\n") - events):
                steps.read.release()
    return seen


async def test_a_rollback_reaches_all_four(running: Fleet, admin: int) -> None:
    load = Load(running.url, model="search")
    direct = [f"http://127.0.0.1:{port}" for port in running.ports]
    async with aiohttp.ClientSession() as session:
        before = {await load.ask(session, f"user-{n}", stream=False, url=direct[n % 4]) for n in range(24)}
        await asyncio.to_thread(roll_back, admin, "search")
        await asyncio.sleep(1.0)
        after = {await load.ask(session, f"user-{n}", stream=False, url=url) for n in range(12) for url in direct}

    assert before == {"original", "small"}
    assert after == {"original"}


def roll_back(admin: int, experiment: str) -> None:
    url = f"http://127.0.0.1:{admin}/api/v1/experiments/{experiment}/rollback"
    data, headers = json.dumps({"reason": "it reaches all"}).encode(), {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, data, headers, method="POST"), timeout=10).read()


async def test_one_killed_and_one_ended_under_load(running: Fleet) -> None:
    """The killed one may cost what it had in flight, until HAProxy has noticed; the ended one costs nothing at all."""
    killed, ended, *_ = running.ports
    load = Load(running.url)
    asked_before, stored_before = running.asked(), set(running.stored("support"))
    sending = asyncio.ensure_future(load.run())
    await asyncio.sleep(0.5)

    killed_at = time.monotonic()
    running.proxies[killed].send_signal(signal.SIGKILL)
    await asyncio.to_thread(wait_for, lambda: running.seen(killed)["status"] == "DOWN", running)
    noticed_at = time.monotonic()
    await asyncio.sleep(0.3)

    ended_at, answered_before = time.monotonic(), len(load.exchanges)
    code = await asyncio.to_thread(running.end_proxy, ended)
    took_s = time.monotonic() - ended_at
    await asyncio.sleep(0.3)
    load.end()
    await sending

    lost = [when for when, _ in load.failed]
    print(
        f"{load.sent} requests, {load.streams} of them streams. Killed: HAProxy noticed after "
        f"{noticed_at - killed_at:.2f} s, {len(lost)} failed. Ended: {took_s:.2f} s, "
        f"{len(load.exchanges) - answered_before} answered meanwhile and after, 0 failed"
    )
    assert [failure for failure in load.failed if failure[0] > noticed_at] == []
    assert len(lost) <= 16, "no more than one for each of the clients"
    assert code in {0, -signal.SIGTERM}
    assert running.seen(ended)["status"] == "DOWN"
    assert len(load.exchanges) - answered_before > 50, "the load went on"
    assert all(len(variants) == 1 for variants in load.variants.values())
    await asyncio.to_thread(wait_for, lambda: set(load.exchanges) <= set(running.stored("support")), running)
    stored = running.stored("support")
    assert set(stored.values()) == {1}
    assert len(stored.keys() - stored_before) <= load.sent, "no request is two exchanges"
    assert running.asked() - asked_before <= load.sent, "nothing was sent to a model twice"
