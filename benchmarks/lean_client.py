"""A client that costs little, and backends that do: for what is measured beside traffic on a machine of two cores.

aiohttp's client takes more CPU for a request than the proxy that is measured, and a fake backend in Python as much.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.processes import free_port, running

_ANSWER = (
    '{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"support","choices":[{"index":0,"message":'
    '{"role":"assistant","content":"It will come tomorrow."},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":90,"completion_tokens":5,"total_tokens":95}}'
)
_NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{answer}'; }} }} }}
"""


@contextmanager
def static_backend(parent: Path) -> Iterator[int]:
    """An nginx that gives every request the same answer. It is simulated: there is no model.

    Raises:
        FileNotFoundError: nginx is not installed.
    """
    nginx = shutil.which("nginx")
    if nginx is None:
        raise FileNotFoundError("nginx is not installed")
    port = free_port()
    folder = parent / f"backend-{port}"
    folder.mkdir()
    (folder / "nginx.conf").write_text(_NGINX.format(port=port, answer=_ANSWER))
    with running([nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], port, folder):
        yield port


class _Connection(asyncio.Protocol):
    """One kept connection; it knows an answer's end by its length."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._seen = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._due_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def ask(self, request: bytes, due_s: float) -> None:
        """Send a request that was due at a time; its latency counts from there."""
        assert self._transport is not None
        self._due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._seen.clear()
        self._load.answered(self, head.startswith(b"HTTP/1.1 200"), self._due_s)

    def connection_lost(self, _: Exception | None) -> None:
        self._load.lost()


def _length(head: bytearray) -> int:
    for line in bytes(head).lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise ValueError("the answer has no length")


class _Load:
    """Requests at a fixed rate, whatever the answers do."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self._requests = requests
        self._rate = rate
        self._free: deque[_Connection] = deque()
        self._waiting: deque[int] = deque()
        self._started = 0.0
        self.latencies_s: list[float] = []
        self.failed = 0
        self.done = asyncio.Event()

    async def run(self, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
            self._free.append(connection)
        self._started = time.perf_counter()
        for number in range(len(self._requests)):
            await asyncio.sleep(max(0.0, self._started + number / self._rate - time.perf_counter()))
            self._waiting.append(number)
            self._send()
        await self.done.wait()

    def _send(self) -> None:
        while self._waiting and self._free:
            number = self._waiting.popleft()
            self._free.popleft().ask(self._requests[number], self._started + number / self._rate)

    def answered(self, connection: _Connection, is_good: bool, due_s: float) -> None:  # noqa: FBT001
        self.latencies_s.append(time.perf_counter() - due_s)
        self.failed += not is_good
        self._free.append(connection)
        self._send()
        if len(self.latencies_s) == len(self._requests):
            self.done.set()

    def lost(self) -> None:
        if not self.done.is_set():
            raise RuntimeError("the server closed a connection")


def steady(port: int, path: str, body: bytes, requests: int, rate: float, connections: int = 64) -> list[float]:
    """Send POST requests at a fixed rate; returns the latency of each in seconds, from when it was due.

    Raises:
        RuntimeError: A request was not answered with 200.
    """
    head = "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    head += "x-user-id: user-{}\r\ncontent-length: {}\r\n\r\n"
    made = [head.format(path, number % 997, len(body)).encode() + body for number in range(requests)]

    async def go() -> _Load:
        load = _Load(made, rate)
        await load.run(port, connections)
        return load

    load = uvloop.run(go())
    if load.failed:
        raise RuntimeError(f"{load.failed} of {requests} requests were not answered with 200")
    return load.latencies_s
