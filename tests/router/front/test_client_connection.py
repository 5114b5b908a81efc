"""One client's connection: each limit, and what becomes of requests behind, before and beside one that is refused."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_door import GET, Door, answer, door, echo, read_whole, until, until_closed

HEAD = b"POST / HTTP/1.1\r\nHost: client\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
STATUS = b"HTTP/1.1 "


def statuses(raw: bytes) -> list[int]:
    """The status of every answer in what came."""
    return [int(part[:3]) for part in raw.split(STATUS)[1:]]


def sent_slowly(running: Door, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What is answered to a client that sends in pieces, each in a packet of its own."""
    with running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
            time.sleep(pause_s)
        return until_closed(client)


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(4, 200), (5, 431)])
def test_so_many_headers_are_served_and_one_more_is_refused(number: int, status: int) -> None:
    with door(echo, max_headers=5) as running:
        raw = running.ask(b"GET / HTTP/1.0\r\nHost: client\r\n" + b"X: y\r\n" * number + b"\r\n")

    assert statuses(raw) == [status]
    assert running.refused("headers") == (status == 431)


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(("length", "status"), [(150, 200), (250, 431)])
@pytest.mark.parametrize("what", ["target", "name", "value", "many"])
def test_so_large_a_head_is_served_and_a_larger_one_not(what: str, length: int, status: int, in_pieces: bool) -> None:
    head = {
        "target": b"GET /%b HTTP/1.0\r\n\r\n" % (b"a" * length),
        "name": b"GET / HTTP/1.0\r\n%b: x\r\n\r\n" % (b"a" * length),
        "value": b"GET / HTTP/1.0\r\nx: %b\r\n\r\n" % (b"a" * length),
        "many": b"GET / HTTP/1.0\r\n" + b"x: yyy\r\n" * (length // 8) + b"\r\n",
    }[what]
    with door(echo, max_header_bytes=200) as running:
        pieces = [head[:50], head[50:100], head[100:]] if in_pieces else [head]
        raw = sent_slowly(running, *pieces, pause_s=0.01 if in_pieces else 0)

    assert statuses(raw) == [status]
    assert running.refused("header_bytes") == (status == 431)


def test_a_head_without_an_end_is_refused_as_soon_as_it_is_too_large() -> None:
    with door(echo, max_header_bytes=1000) as running, running.connect() as client:
        client.sendall(b"GET /")
        while running.refused("header_bytes") == 0:
            client.sendall(b"a" * 100)
            time.sleep(0.001)
        assert statuses(until_closed(client)) == [431]


@pytest.fixture(name="doors", scope="module")
def _doors() -> Iterator[dict[int, Door]]:
    """Limit -> a door that holds it."""
    with ExitStack() as stack:
        yield {limit: stack.enter_context(door(echo, max_header_bytes=limit)) for limit in (119, 120)}


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 136), max_size=4), limit=st.sampled_from([119, 120]))
def test_however_a_head_comes_in_it_is_judged_alike(doors: dict[int, Door], cuts: list[int], limit: int) -> None:
    # Its target is of 1 byte, its headers of 14 and 7 times 15: names, values, and four bytes around each.
    head = b"GET / HTTP/1.0\r\nHost: client\r\n" + b"x-name: value\r\n" * 7 + b"\r\n"
    edges = [0, *sorted(cuts), len(head)]
    pieces = [head[start:end] for start, end in pairwise(edges)]
    raw = sent_slowly(doors[limit], *filter(None, pieces), pause_s=0.002)

    assert statuses(raw) == [200 if limit == 120 else 431]


def test_a_head_that_takes_too_long_is_told_so() -> None:
    with door(echo, header_timeout_s=0.2) as running:
        raw = sent_slowly(running, GET[:10])

    assert statuses(raw) == [408]
    assert running.refused("header_timeout") == 1


def test_a_head_that_trickles_takes_too_long_all_the_same() -> None:
    with door(echo, header_timeout_s=0.3, idle_timeout_s=20) as running, running.connect() as client:
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\n")
        while not running.refused("header_timeout"):
            client.sendall(b"x: y\r\n")
            time.sleep(0.05)
            assert time.monotonic() < began + 5
        assert statuses(until_closed(client)) == [408]


def test_empty_lines_do_not_keep_a_connection() -> None:
    with door(echo, idle_timeout_s=0.2) as running, running.connect() as client, pytest.raises(ConnectionError):
        send_for_ever(client, b"\r\n")

    assert not running.front.counters.refused


def send_for_ever(client: socket.socket, piece: bytes) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        client.sendall(piece)
        time.sleep(0.02)


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nab"])
def test_a_body_that_stops_coming_is_told_so(body: bytes) -> None:
    with door(echo, body_timeout_s=0.2) as running:
        raw = sent_slowly(running, HEAD + body)

    assert statuses(raw) == [408]
    assert running.refused("body_timeout") == 1


def test_a_body_may_take_long_as_long_as_it_goes_on() -> None:
    with door(echo, body_timeout_s=0.4) as running, running.connect() as client:
        client.sendall(HEAD + b"Content-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(0.1)
            client.sendall(b"a")
        assert until(client, b"aaaaaaaa").startswith(b"HTTP/1.1 200")


def test_a_client_that_is_not_read_is_not_slow() -> None:
    async def app(_scope, receive, send) -> None:
        await asyncio.sleep(0.6)
        await answer(send, b"%d" % len(await read_whole(receive) or b""))

    with door(app, body_timeout_s=0.2) as running, running.connect() as client:
        client.sendall(HEAD + b"Content-Length: 4000000\r\n\r\n" + b"a" * 4_000_000)
        assert until(client, b"4000000").startswith(b"HTTP/1.1 200")


def test_a_body_in_many_small_chunks_is_served() -> None:
    with door(echo, max_header_bytes=100) as running, running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(CHUNKED)
        for _ in range(50):
            client.sendall(b"1\r\na\r\n")
            time.sleep(0.001)
        client.sendall(b"0\r\n\r\n")
        assert until(client, b"a" * 50).startswith(b"HTTP/1.1 200")


def test_a_body_of_which_there_is_more_around_than_in_is_refused() -> None:
    with door(echo, max_header_bytes=100) as running:
        raw = sent_slowly(running, CHUNKED, *[b"1;" + b"x" * 30] + [b"x" * 30] * 4, pause_s=0.01)

    assert statuses(raw) == [400]


def test_a_malformed_chunk_takes_the_request_back() -> None:
    seen: list[bytes | None] = []

    async def app(_scope, receive, send) -> None:
        seen.append(await read_whole(receive))
        await answer(send, b"never heard")

    with door(app) as running:
        assert statuses(sent_slowly(running, CHUNKED + b"3\r\nabc\r\n", b"zz\r\n", pause_s=0.02)) == [400]

    assert seen == [None]


def test_a_malformed_chunk_under_an_answer_that_has_begun_breaks_it() -> None:
    async def app(_scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await read_whole(receive)

    with door(app) as running, running.connect() as client:
        client.sendall(CHUNKED)
        until(client, b"begun\r\n")
        client.sendall(b"zz\r\n")
        with pytest.raises(ConnectionResetError):
            until_closed(client)


async def early(_scope, _receive, send) -> None:
    await answer(send, b"no need", status=413)


async def early_and_done(_scope, _receive, send) -> None:
    await answer(send, b"no need", (b"connection", b"close"), status=413)


def test_an_early_answer_leaves_the_connection_in_order_for_the_next_request() -> None:
    with door(early) as running, running.connect() as client:
        client.sendall(HEAD + b"Content-Length: 6\r\n\r\n")
        until(client, b"no need")
        client.sendall(b"GET / ")
        client.sendall(GET)
        assert statuses(until(client, b"no need")) == [413]


@pytest.mark.parametrize("rest", [b"zz\r\n", b""], ids=["malformed", "missing"])
def test_after_an_early_answer_a_bad_rest_of_the_body_gets_no_second_one(rest: bytes) -> None:
    with door(early, body_timeout_s=0.2) as running, running.connect() as client:
        client.sendall(CHUNKED)
        until(client, b"no need")
        client.sendall(rest)
        assert until_closed(client) == b""


def test_an_early_last_answer_reaches_a_client_that_still_sends() -> None:
    with door(early_and_done) as running, running.connect() as client:
        client.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
        until(client, b"no need")
        for _ in range(50):
            client.sendall(b"a" * 100_000)
        assert until_closed(client) == b""


def test_an_early_last_answer_that_is_large_may_be_taken_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.front.client_connection._LINGER_S", 0.2)

    async def app(_scope, _receive, send) -> None:
        await answer(send, b"a" * 20_000_000, (b"connection", b"close"))

    with door(app, idle_timeout_s=0.4) as running, running.connect() as client:
        client.sendall(HEAD + b"Content-Length: 10\r\n\r\n")
        data = bytearray()
        for _ in range(8):
            time.sleep(0.1)
            data += client.recv(1_000_000)
        data += until_closed(client)

    assert len(data) > 20_000_000


# --- answers ----------------------------------------------------------------------------------------------------------


async def large(_scope, _receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(200):
        await send({"type": "http.response.body", "body": b"a" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def test_a_client_that_takes_nothing_is_cut_off() -> None:
    with door(large, read_timeout_s=0.3) as running, running.connect() as client:
        client.sendall(GET)
        wait_for(lambda: running.refused("read_timeout"))
        with pytest.raises(ConnectionResetError):
            until_closed(client)


def test_a_client_that_takes_little_is_not_cut_off() -> None:
    with door(large, read_timeout_s=0.4) as running, running.connect() as client:
        client.sendall(GET)
        data = bytearray()
        for _ in range(10):
            time.sleep(0.1)
            data += client.recv(2_000_000)
        while not data.endswith(b"0\r\n\r\n"):
            data += client.recv(1 << 20)

    assert len(data) > 20_000_000
    assert not running.front.counters.refused


def test_a_client_that_does_not_take_its_last_answer_is_cut_off() -> None:
    async def app(_scope, _receive, send) -> None:
        await answer(send, b"a" * 20_000_000, (b"connection", b"close"))

    with door(app, read_timeout_s=0.3) as running, running.connect() as client:
        client.sendall(GET)
        wait_for(lambda: running.refused("read_timeout"))
        wait_for(lambda: not running.server.server_state.connections)


def test_a_client_that_leaves_is_known_to_have_left() -> None:
    left: list[str] = []

    async def app(_scope, receive, _send) -> None:
        await receive()
        left.append((await receive())["type"])

    with door(app) as running:
        with running.connect() as client:
            client.sendall(GET)
            wait_for(lambda: running.server.server_state.tasks)
        wait_for(lambda: left)

    assert left == ["http.disconnect"]


# --- one behind the other ---------------------------------------------------------------------------------------------


def numbered(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: client\r\n\r\n" % number


def test_requests_in_one_packet_are_answered_in_their_order() -> None:
    async def app(scope, _receive, send) -> None:
        number = int(scope["path"][1:])
        await asyncio.sleep(0.02 * (3 - number))
        await answer(send, b"<%d>" % number)

    with door(app) as running, running.connect() as client:
        client.sendall(b"".join(map(numbered, range(4))))
        raw = until(client, b"<3>")

    assert [raw.index(b"<%d>" % number) for number in range(4)] == sorted(raw.index(b"<%d>" % n) for n in range(4))


def test_a_bad_request_is_answered_after_those_before_it_and_those_behind_it_never() -> None:
    asked: list[str] = []

    async def app(scope, _receive, send) -> None:
        asked.append(scope["path"])
        await asyncio.sleep(0.02)
        await answer(send, b"ok")

    with door(app) as running:
        raw = running.ask(numbered(0) + numbered(1) + b"GET /bad HTTP/1.1\r\n\r\n" + numbered(3))

    assert statuses(raw) == [200, 200, 400]
    assert asked == ["/0", "/1"]


def test_a_bad_body_behind_a_good_request_is_refused_in_its_turn() -> None:
    asked: list[str] = []

    async def app(scope, _receive, send) -> None:
        asked.append(scope["method"])
        await asyncio.sleep(0.05)
        await answer(send, b"ok")

    with door(app) as running:
        raw = running.ask(numbered(0) + CHUNKED + b"zz\r\n" + numbered(2))

    assert statuses(raw) == [200, 400]
    assert asked == ["GET"]


def test_of_several_that_wait_only_the_bad_one_is_taken_back() -> None:
    asked: list[str] = []

    async def app(scope, _receive, send) -> None:
        asked.append(scope["path"])
        await asyncio.sleep(0.05)
        await answer(send, b"ok")

    with door(app) as running:
        raw = running.ask(numbered(0) + numbered(1) + CHUNKED + b"zz\r\n" + numbered(3))

    assert statuses(raw) == [200, 200, 400]
    assert asked == ["/0", "/1"]


def test_behind_an_answer_that_ends_the_connection_nothing_is_begun() -> None:
    asked: list[str] = []

    async def app(scope, _receive, send) -> None:
        asked.append(scope["method"])
        await asyncio.sleep(0.05)
        await answer(send, b"ok", (b"connection", b"close"))

    with door(app) as running:
        raw = running.ask(numbered(0) + HEAD + b"Content-Length: 10\r\n\r\nabc")

    assert statuses(raw) == [200]
    assert asked == ["GET"]


def test_behind_a_request_that_ends_the_connection_nothing_is_read() -> None:
    with door(echo) as running:
        raw = running.ask(b"GET /last HTTP/1.1\r\nHost: client\r\nConnection: close\r\n\r\n" + GET)

    assert statuses(raw) == [200]
    assert raw.endswith(b"GET /last ")


def test_too_many_requests_that_wait_are_refused() -> None:
    async def app(_scope, _receive, send) -> None:
        await asyncio.sleep(0.005)
        await answer(send, b"ok")

    with door(app) as running:
        raw = running.ask(GET * 100)

    assert statuses(raw) == [200] * 65 + [503]
    assert running.refused("pipelined") == 1


def test_an_upgrade_is_served_as_a_request_and_the_last_one() -> None:
    with door(echo) as running:
        upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        raw = running.ask(b"GET /x HTTP/1.1\r\nHost: client\r\n" + upgrade + b"PRI * HTTP/2.0" + GET)

    assert statuses(raw) == [200]
    assert raw.endswith(b"GET /x ")


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    with door(echo) as running, running.connect() as client:
        client.sendall(HEAD + b"Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ab")
        assert until(client, b"ab").startswith(b"HTTP/1.1 200")


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="trust", scope="module")
def _trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path, Path]:
    """A client's context, and certificate and key of a server that it trusts."""
    trustme = pytest.importorskip("trustme", reason="needs trustme, of the extra dev")
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost")
    certificate, key = folder / "server.pem", folder / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context, certificate, key


def test_over_tls_requests_are_answered_and_refused_as_in_the_clear(trust: tuple[ssl.SSLContext, Path, Path]) -> None:
    context, *tls = trust
    with door(echo, tls=(tls[0], tls[1])) as running:
        with running.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(GET)
            assert until(client, b"GET / ").startswith(b"HTTP/1.1 200")
            client.sendall(b"GET /bad HTTP/1.1\r\n\r\n" + GET)
            refused = until(client, b"}")
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)
        wait_for(lambda: not running.front.lingering)

    assert statuses(refused) == [400]
    assert b"\r\nconnection: close\r\n" in refused


def test_over_tls_an_early_last_answer_reaches_a_client_that_still_sends(
    trust: tuple[ssl.SSLContext, Path, Path],
) -> None:
    context, *tls = trust
    with (
        door(early_and_done, tls=(tls[0], tls[1])) as running,
        running.connect() as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + b"a" * 100_000)
        assert statuses(until(client, b"no need")) == [413]


def wait_for(condition, seconds: float = 5.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
