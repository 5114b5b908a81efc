"""F20: slow clients. Each kind is cut at its limit, counted or recorded; five hundred of them harm no one."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import aiohttp
import pytest
from tests_process import ProxyProcess, proxy_process

from router.fakes.backend import FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"
LIMITS = """
[router.clients]
header_timeout_s = 1.0
body_timeout_s = 1.0
read_timeout_s = 1.0
"""
HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n".encode()
SLOW = 500


@pytest.fixture(name="running")
def _running(tmp_path: Path) -> Iterator[ProxyProcess]:
    with serving(FakeBackend()) as url, proxy_process(tmp_path, url, more=LIMITS) as running:
        yield running


async def slow_client(port: int, begin: bytes, drip: bytes, every_s: float) -> tuple[bytes, float]:
    """Send a beginning and then a drip now and then; returns the answer, and after how many seconds it came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(begin)

    async def dripping() -> None:
        with suppress(OSError):
            while True:
                await asyncio.sleep(every_s)
                writer.write(drip)
                await writer.drain()

    task = asyncio.create_task(dripping())
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    took_s = time.monotonic() - started
    task.cancel()
    writer.close()
    return answer, took_s


@pytest.mark.parametrize(
    ("begin", "drip", "every_s"),
    [
        (b"POST /v1/chat", b"x", 0.2),
        (HEAD, b"x-drip: y\r\n", 0.2),
        (HEAD + b"\r\nhalf a body", b"", 60.0),
    ],
    ids=["request line", "headers", "body"],
)
async def test_f20_who_sends_too_slowly_is_told_so_and_cut_at_the_limit(
    running: ProxyProcess, begin: bytes, drip: bytes, every_s: float
) -> None:
    answer, took_s = await asyncio.wait_for(slow_client(running.port, begin, drip, every_s), 10)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"problem+json" in answer
    assert 0.9 < took_s < 3.0


def test_f20_a_client_that_takes_nothing_of_its_answer_is_cut_off_and_recorded_as_having_left(
    running: ProxyProcess,
) -> None:
    body = b"x" * 16_000_000  # more than the buffers of both sockets hold
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", running.port))
        # This path is answered with what was received.
        client.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        deadline = time.monotonic() + 10
        while not running.exchanges() and time.monotonic() < deadline:
            time.sleep(0.05)

    [exchange] = running.exchanges()
    assert exchange.error == "client_closed"
    assert exchange.bytes_out < len(body)


async def others(session: aiohttp.ClientSession, url: str, count: int) -> list[float]:
    took_s = []
    for _ in range(count):
        started = time.perf_counter()
        async with session.post(url + CHAT, data=b"hello") as response:
            await response.read()
            assert response.status == 200
        took_s.append(time.perf_counter() - started)
    return took_s


async def test_f20_five_hundred_slow_clients_harm_no_one(running: ProxyProcess) -> None:
    """All others are answered, and none waits for the slow ones. How much they feel: `benchmarks.slow_clients`."""
    async with aiohttp.ClientSession() as session:
        with ExitStack() as stack:
            for number in range(SLOW):
                slow = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=10))
                slow.sendall(HEAD if number % 2 else HEAD + b"\r\nhalf a body")
            beside = await others(session, running.url, 200)

    assert max(beside) < 1.0, "the slow ones are cut after one second"
