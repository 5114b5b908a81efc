"""The short way: the client sees what it would see on the long one, byte by byte, and so does the journal.

Nearly every test of the data plane runs on the short way too (the fixture `plane`); here is what only it can get wrong.
"""

import gc
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from router.direct.exchange import DirectExchange
from router.fakes.backend import Behaviour
from router.upstream.transports.base import Body
from router.upstream.transports.http1_connection import Connection, Reader

CHAT = "/v1/chat/completions"
JSON = b'{"model": "support", "messages": [{"role": "user", "content": "hello"}]}'
STREAM = b'{"model": "support", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
pytestmark = pytest.mark.parametrize("plane", ["direct"], indirect=True)


def request(body: bytes, connection: bytes = b"keep-alive") -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: router\r\nx-user-id: u\r\nconnection: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (CHAT.encode(), connection, len(body)) + body


def answers(url: str, data: bytes) -> bytes:
    """Send bytes over a connection of their own; returns all that comes back until it is closed."""
    host, _, port = url.removeprefix("http://").partition(":")
    received = b""
    with closing(socket.create_connection((host, int(port)), timeout=5)) as client:
        client.sendall(data)
        while piece := client.recv(65_536):
            received += piece
    return received


def without_ids(answer: bytes) -> bytes:
    """Leave out what differs from answer to answer, and how a body was cut into chunks."""
    head, _, body = answer.partition(b"\r\n\r\n")
    head = re.sub(rb"(?m)^x-touchstone-exchange: .*$", b"x-touchstone-exchange: ID", head)
    body = re.sub(rb"(?m)^[0-9a-f]+\r\n", b"", body).replace(b"\r\n", b"")
    return head + b"\r\n\r\n" + re.sub(rb'"(id|created)": ?("[^"]*"|\d+)', b"", body)


@pytest.mark.parametrize("body", [JSON, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(), Behaviour(status=500), Behaviour(status=429), Behaviour(status=404)],
    ids=["well", "500", "429", "404"],
)
def test_the_client_and_the_journal_get_what_they_get_on_the_long_way(plane, behaviour: Behaviour, body: bytes) -> None:
    running = plane(split=0)
    running.control.behaviour = behaviour

    short = answers(running.url, request(body, b"close"))
    running.app.direct_entry = None
    long = answers(running.url, request(body, b"close"))

    assert without_ids(short) == without_ids(long)
    first, second = running.exchanges(2)
    told = ("status", "error", "served", "fallback", "stream", "bytes_out", "bytes_in", "endpoint", "unit")
    assert [getattr(first, name) for name in told] == [getattr(second, name) for name in told]


def test_an_ordinary_request_is_on_the_short_way(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(delay_ms=300)
    host, _, port = running.url.removeprefix("http://").partition(":")

    with closing(socket.create_connection((host, int(port)), timeout=5)) as client:
        client.sendall(request(JSON))
        in_flight = running.app._proxy.services.in_flight
        deadline = time.monotonic() + 2
        while not in_flight and time.monotonic() < deadline:
            time.sleep(0.005)
        (exchange,) = in_flight
        assert isinstance(exchange, DirectExchange)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")

    assert not in_flight


def test_requests_that_come_at_once_are_answered_in_their_order(plane) -> None:
    running = plane(split=0)

    received = answers(running.url, request(JSON) + request(STREAM) + request(JSON, b"close"))

    kinds = re.findall(rb"content-type: ([a-z/-]+)", received)
    assert kinds == [b"application/json", b"text/event-stream", b"application/json"]
    assert [exchange.stream for exchange in running.exchanges(3)] == [False, True, False]


def test_what_follows_a_whole_request_and_is_none_is_refused_after_its_answer(plane) -> None:
    running = plane(split=0)

    received = answers(running.url, request(JSON) + b"no request\r\n\r\n")

    assert [line[:12] for line in re.findall(rb"HTTP/1.1 [^\r]*", received)] == [b"HTTP/1.1 200", b"HTTP/1.1 400"]
    assert running.exchanges(1)[0].error == ""


@contextmanager
def speaking(writes: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    """A backend that answers whatever it gets on any of its connections with these bytes, and keeps them all open."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(65_536):
                for piece in writes():
                    connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                opened.append(listening.accept()[0])
                threading.Thread(target=answer, args=opened[-1:], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        for connection in opened:
            connection.close()
        listening.close()
        thread.join(timeout=5)


def test_a_backend_that_goes_silent_behind_its_headers_is_given_up_every_time(plane) -> None:
    """Whoever looks for silence has not looked before the headers came, so it has nothing to compare with."""
    with speaking(lambda: [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]) as url:
        running = plane(split=0, control_url=url, settings={"between_bytes_timeout_s": 0.4})

        received = [answers(running.url, request(JSON, b"close")) for _ in range(2)]

    assert [answer[:12] for answer in received] == [b"HTTP/1.1 504", b"HTTP/1.1 504"]
    assert [exchange.error for exchange in running.exchanges(2)] == ["timeout", "timeout"]


def test_a_backend_that_says_that_it_failed_keeps_its_connection(plane) -> None:
    running = plane(split=100)
    running.treatment.behaviour = Behaviour(status=500)

    received = [answers(running.url, request(JSON, b"close")) for _ in range(3)]

    assert [answer[:12] for answer in received] == [b"HTTP/1.1 200"] * 3
    assert [exchange.fallback for exchange in running.exchanges(3)] == ["status"] * 3
    (endpoint,) = running.app._upstreams["int4"].endpoints
    assert [len(idle) for idle in endpoint.transport._idle.values()] == [1, 1]


def test_an_idle_connection_remembers_nothing_of_its_last_exchange(plane) -> None:
    running = plane(split=0)
    host, _, port = running.url.removeprefix("http://").partition(":")

    with closing(socket.create_connection((host, int(port)), timeout=5)) as client:
        client.sendall(request(JSON))
        client.recv(65_536)
        running.exchanges(1)
        left = [found for found in gc.get_objects() if isinstance(found, DirectExchange)]

    assert not left


def test_a_request_that_cannot_be_planned_is_answered_with_500_as_on_the_long_way(plane, monkeypatch) -> None:
    running = plane(split=0)
    proxy = running.app._proxy

    def stumble(*_: object) -> None:
        raise RuntimeError("mine")

    monkeypatch.setattr(proxy, "_plan", stumble)

    assert answers(running.url, request(JSON, b"close")).startswith(b"HTTP/1.1 500")
    assert proxy.in_flight == 0


def test_what_is_in_flight_when_the_process_ends_is_recorded_as_cancelled(plane) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(hang=True)
    host, _, port = running.url.removeprefix("http://").partition(":")

    with closing(socket.create_connection((host, int(port)), timeout=5)) as client:
        client.sendall(request(JSON))
        while not running.app._proxy.services.in_flight:
            time.sleep(0.005)
        running.stop()
        assert client.recv(65_536).startswith(b"HTTP/1.1 500")

    assert [exchange.error for exchange in running.exchanges(1)] == ["cancelled"]


def test_which_of_a_pair_is_on_the_wire_first_is_as_it_was_drawn(plane, monkeypatch) -> None:
    asked: list[bool] = []
    ask = Connection.ask

    def noted(self: Connection, head: bytes, body: Body, reader: Reader, *, bodiless: bool = False) -> None:
        asked.append(not isinstance(reader, DirectExchange))
        ask(self, head, body, reader, bodiless=bodiless)

    monkeypatch.setattr(Connection, "ask", noted)
    running = plane(split=0, mirror=100)

    for number in range(1, 13):
        answers(running.url, request(JSON, b"close"))
        running.exchanges(number, "shadow")

    drawn = [exchange.shadow_first for exchange in running.exchanges(12)]
    assert asked[::2] == drawn
    assert set(drawn) == {False, True}


def test_a_client_that_does_not_read_holds_its_backend_back_and_misses_nothing(plane) -> None:
    size, sent = 48 * 2**20, [0]

    def large() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size
        for _ in range(size // 2**16):
            yield b"x" * 2**16
            sent[0] += 2**16

    with speaking(large) as url:
        running = plane(split=0, control_url=url)
        host, _, port = running.url.removeprefix("http://").partition(":")
        with closing(socket.create_connection((host, int(port)), timeout=5)) as client:
            client.sendall(request(JSON, b"close"))
            before = -1
            while before != sent[0] or not before:
                before = sent[0]
                time.sleep(0.2)
            received = 0
            while piece := client.recv(2**20):
                received += len(piece)

    assert before < size / 2
    assert received > size
    assert running.exchanges(1)[0].bytes_out == size
