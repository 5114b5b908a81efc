"""Backends that fail (F1 to F8 of the fault matrix in docs/reliability.md), each for real, with its bar."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import aiohttp
import pytest

from experiments.evaluation.ledger import Ledger
from experiments.model import CONTROL, TREATMENT
from experiments.store import StoredExchange
from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"
BODY = b'{"model": "support", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b'e\r\ndata: {"a":1}\n\r\n'


async def ask(url: str, user: str = "u", body: bytes = b"hello") -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(url + CHAT, data=body, headers={"x-user-id": user}) as response,
    ):
        await response.read()
        return response.status


@contextmanager
def scripted(*writes: bytes, reset: bool = False) -> Iterator[str]:
    """A backend that answers every connection with these bytes and then closes, or resets, it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                for piece in writes:
                    connection.sendall(piece)
                    time.sleep(0.05)  # a packet of its own
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)


def raw_answer(url: str) -> bytes:
    """Return every byte of the answer, as the client's socket gets it."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-user-id: u\r\ncontent-length: {len(BODY)}\r\n\r\n"
        client.sendall(head.encode() + BODY)
        received = b""
        while piece := _received(client):
            received += piece
        return received


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(65_536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"writes": (HEAD, PIECE, PIECE)}, "reset"),
        ({"writes": (HEAD, PIECE), "reset": True}, "reset"),
        ({"writes": (HEAD, PIECE, b"zz\r\nnot a chunk")}, "malformed"),
        ({"writes": (HEAD, PIECE, b"-5\r\nhello\r\n")}, "malformed"),
        ({"writes": (HEAD, PIECE, b"ffffffffffffffffff\r\n")}, "malformed"),
    ],
)
def test_f5_a_stream_that_breaks_is_never_ended_as_if_it_were_whole(plane, fault: dict, error: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(scripted(*fault["writes"], reset=fault.get("reset", False)))
        running = plane(split=0, control_url=url, settings={"between_bytes_timeout_s": 1.0})

        received = raw_answer(running.url)

        [exchange] = running.exchanges(1)
        assert received.startswith(b"HTTP/1.1 200")
        assert b'data: {"a":1}' in received
        assert b"0\r\n\r\n" not in received
        assert b"[DONE]" not in received
        assert exchange.bytes_out >= 14
        # aiohttp's reader hears nothing of a malformed chunk that comes in a later packet: there the limit ends it.
        assert exchange.error in {error, "timeout" if error == "malformed" else error}


async def test_f3_backends_that_never_answer_leak_no_task_and_no_slot(plane) -> None:
    running = plane(split=100, settings={"first_byte_timeout_s": 0.3})
    running.treatment.behaviour = Behaviour(hang=True)

    statuses = await asyncio.gather(*(ask(running.url) for _ in range(20)))

    exchanges = running.exchanges(20)
    assert set(statuses) <= {200, 504}
    assert {e.assigned for e in exchanges} == {TREATMENT}
    assert {e.error or e.fallback for e in exchanges} <= {"timeout", "unavailable"}
    proxy = running.app._proxy
    assert (proxy.in_flight, len(proxy.services.in_flight)) == (0, 0)
    assert [e.outstanding for u in proxy._upstreams.values() for e in u.endpoints] == [0, 0]


async def test_f6_failures_of_the_treatment_cause_no_storm_of_retries(plane) -> None:
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(status=500)

    statuses = [await ask(running.url) for _ in range(100)]

    load = running.treatment.counts[CHAT] + running.control.counts[CHAT]
    exchanges = running.exchanges(100)
    assert load <= 120
    assert statuses.count(200) == sum(e.served == CONTROL for e in exchanges)
    assert {e.assigned for e in exchanges} == {TREATMENT}


async def test_f7_a_client_that_leaves_in_the_middle_of_a_stream_lets_the_backend_go_at_once(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(chunks=1000, chunk_delay_ms=20)
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession() as session:
        response = await session.post(running.url + CHAT, data=BODY, headers={"x-user-id": "u"})
        await response.content.readany()
        response.close()
        left = loop.time()
    while not running.control.cancelled and loop.time() - left < 2:  # noqa: ASYNC110  # it is in another thread
        await asyncio.sleep(0.005)

    assert loop.time() - left < 0.1
    [exchange] = running.exchanges(1)
    assert exchange.error == "client_closed"
    assert exchange.bytes_out > 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Behaviour(hang=True), "cancelled"),
        (Behaviour(delay_ms=400), ""),
        (Behaviour(status=503), "status"),
        (Behaviour(break_after_chunks=0), "reset"),
    ],
    ids=["hangs", "is slow", "fails", "breaks off"],
)
async def test_f8_whatever_the_mirror_does_users_are_answered_and_its_end_is_recorded(
    plane, fault: Behaviour, error: str
) -> None:
    running = plane(split=0, mirror=100, settings={"shutdown_grace_s": 0.1})
    running.treatment.behaviour = fault

    began = time.monotonic()
    statuses = [await ask(running.url, f"user-{number}", BODY) for number in range(4)]
    took_s = time.monotonic() - began
    if error == "cancelled":
        await asyncio.to_thread(running.stop)
    shadows = await asyncio.to_thread(running.exchanges, 4, "shadow")

    assert statuses == [200] * 4
    assert took_s < 4 * 0.4, "nobody waited for the mirror"
    assert {exchange.error for exchange in running.exchanges(4)} == {""}
    assert {shadow.error for shadow in shadows} == {error}


def test_f8_a_mirrored_request_that_never_ended_is_counted_as_missing_of_its_variant(plane) -> None:
    running = plane(split=0, mirror=100, settings={"mirror_concurrency": 2, "shutdown_grace_s": 0.1})
    running.treatment.behaviour = Behaviour(hang=True)
    for number in range(6):
        asyncio.run(ask(running.url, f"user-{number}"))
    running.stop()

    ledger = Ledger(running.app._config.experiments["support"])
    ledger.add_exchanges(
        StoredExchange(exchange=record, seq=number)
        for number, record in enumerate(running.exchanges(6) + running.exchanges(6, "shadow"), 1)
    )

    assert ledger.shadows == {TREATMENT: [0, 6]}
