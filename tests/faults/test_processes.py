"""A proxy process that is stopped, starved of descriptors, or held by many (F19, F21; idle and streaming clients)."""

import asyncio
import resource
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from tests_process import ProxyProcess, proxy_process

from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"
STREAM = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'


async def stream(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.post(url + CHAT, data=STREAM) as response:
        return await response.read()


def unlimited() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def test_f19_a_hundred_streams_finish_after_sigterm_and_all_are_recorded(tmp_path: Path) -> None:
    backend = FakeBackend(Behaviour(chunks=20, chunk_delay_ms=80))
    with serving(backend) as url, proxy_process(tmp_path, url) as running:
        async with unlimited() as session:
            streams = [asyncio.create_task(stream(session, running.url)) for _ in range(100)]
            await wait_until(lambda: len(backend.received) == 100)
            running.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*streams)
        await asyncio.to_thread(running.process.wait, 20)

        assert all(answer.endswith(b"data: [DONE]\n\n") for answer in answers)
        assert [exchange.error for exchange in running.exchanges()] == [""] * 100


async def test_five_hundred_streams_at_once_all_arrive_whole(tmp_path: Path) -> None:
    backend = FakeBackend(Behaviour(chunks=5, chunk_delay_ms=200))
    with serving(backend) as url, proxy_process(tmp_path, url) as running:
        async with unlimited() as session:
            answers = await asyncio.gather(*(stream(session, running.url) for _ in range(500)))

        assert sum(answer.endswith(b"data: [DONE]\n\n") for answer in answers) == 500
        assert len(running.exchanges()) == 500


async def test_five_thousand_idle_connections_are_held_and_others_served(tmp_path: Path) -> None:
    needed = 5_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed + 500:
        pytest.skip(f"this machine allows only {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as stack:
            url = stack.enter_context(serving(FakeBackend()))
            running = stack.enter_context(proxy_process(tmp_path, url))
            before = running.resident_mib()
            for _ in range(needed):
                stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=10))
            async with unlimited() as session:
                answer = await stream(session, running.url)
            await wait_until(lambda: running.descriptors() > needed)
            grown = running.resident_mib() - before

            assert answer.endswith(b"data: [DONE]\n\n")
            assert grown < 100  # 20 KiB a connection
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_f21_without_descriptors_clients_are_told_to_try_again_and_all_is_well_when_there_are_some(
    tmp_path: Path,
) -> None:
    with serving(FakeBackend()) as url, proxy_process(tmp_path, url) as running:
        pid, free = running.process.pid, running.descriptors() + 2
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with ExitStack() as stack:
            starved = [stack.enter_context(socket.create_connection(("127.0.0.1", running.port))) for _ in range(2)]
            await wait_until(lambda: running.descriptors() >= free)
            told = await asyncio.to_thread(ask_raw, starved[0])
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        await wait_until(lambda: running.descriptors() < free)
        async with unlimited() as session:
            again = await status_of(session, running)

        assert told.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in told
        assert again[0] == 200
        assert running.exchanges()[-1].error == ""


def ask_raw(client: socket.socket) -> bytes:
    client.settimeout(10)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(STREAM)}\r\n\r\n"
    client.sendall(head.encode() + STREAM)
    received = b""
    while piece := client.recv(65_536):
        received += piece
    return received


async def status_of(session: aiohttp.ClientSession, running: ProxyProcess) -> tuple[int, str | None]:
    async with session.post(running.url + CHAT, data=STREAM) as response:
        await response.read()
        return response.status, response.headers.get("Retry-After")


async def wait_until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.02)
