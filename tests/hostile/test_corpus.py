"""Hostile requests, raw over a socket: what reached the backend, byte for byte, and what became of the connection."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from hostile_backend import OK, RawBackend
from hostile_corpus import BEHIND, BY_MODEL, CHAT, CORPUS, MAX_BODY_BYTES, Case, post, sent
from tests_config import TRANSPORT, make_config

from experiments.config.records import Match, Slice, Source
from experiments.config.serving import ClientLimits
from experiments.journal.format import Entry, read_segment
from experiments.model import Exchange, Phase, Route
from experiments.protocols import protocol
from router.app import build_app
from router.fakes.server import serving

NEXT = b"GET /next HTTP/1.1\r\nHost: client\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n")


class Front(NamedTuple):
    """A data plane, and the backend behind it."""

    port: int
    backend: RawBackend
    journal: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


class Reply(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes


@pytest.fixture(name="front", scope="module")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    backend = RawBackend()
    url = f"http://{backend.authority}"
    config = make_config(
        tmp_path_factory.mktemp("journal"),
        url,
        url,
        settings={"max_body_bytes": MAX_BODY_BYTES, "default_backend": "original"},
        unit=Source(kind="body", name="user"),
    )
    by_model = config.experiments["support"].model_copy(
        update={
            "name": "by-model",
            "match": Match(path=BY_MODEL.decode(), model="m"),
            "slices": (Slice(attribute="language", source=Source(kind="body", name="user.a")),),
        }
    )
    config = config.model_copy(update={"experiments": {**config.experiments, "by-model": by_model}})
    routes = [
        Route(
            experiment=name,
            epoch=1,
            phase=Phase.RUNNING,
            split_basis_points=5000,
            mirror_basis_points=0,
            salt=name,
        )
        for name in config.experiments
    ]
    with ExitStack() as stack:
        stack.callback(backend.close)
        app = build_app(config, load_routes=lambda: routes, lookup_exchange=lambda _: None)
        url = stack.enter_context(serving(app, clients=ClientLimits()))
        yield Front(int(url.rpartition(":")[2]), backend, config.router.journal)


def read_reply(client: socket.socket, *, head: bool = False) -> Reply | None:
    """Read one answer; None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1)
        if not piece:
            assert not data, data
            return None
        data += piece
    status = _STATUS.match(data)
    assert status is not None, data
    if status[1] == b"100":
        return read_reply(client, head=head)
    headers = dict(line.lower().split(b": ", 1) for line in data.split(b"\r\n")[1:-2])
    length = 0 if head else int(headers.get(b"content-length", b"0"))
    body = b""
    while len(body) < length:
        piece = client.recv(length - len(body))
        assert piece, "the answer broke off"
        body += piece
    return Reply(int(status[1]), headers, body)


def test_the_corpus_is_as_large_as_it_should_be_and_its_names_differ() -> None:
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= 150


# What aiohttp's client, which serves TLS backends, does otherwise: it writes headers as UTF-8, takes a body that
# answers HEAD for a fault, and reads a bare LF and a folded line as RFC 9112 allows a recipient to (2.2, 5.2).
OTHERWISE = {"header: bytes above ASCII", "a body on HEAD", "LF in a value", "a fold", "LF behind a chunk"}


def _or_otherwise(name: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(TRANSPORT == "aiohttp" and name in OTHERWISE, reason="aiohttp's client, see above")


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=_or_otherwise(case.name)) for case in CORPUS if case.reaches]
)
def test_what_is_let_through_is_exactly_what_http_allows(front: Front, case: Case) -> None:
    with front.connect() as client:
        client.sendall(case.raw)
        if (case.raw.startswith(b"HEAD")) or not case.raw:
            replies = [read_reply(client, head=True)]
        else:
            replies = [read_reply(client) for _ in case.reaches]
        reached = front.backend.taken()
        assert [reply.status for reply in replies if reply] == [200] * len(case.reaches)
        assert reached == list(case.reaches)

        last = replies[-1]
        if last is not None and last.headers.get(b"connection") == b"close":
            assert client.recv(1) == b""
            return
        client.sendall(NEXT)
        following = read_reply(client)
        assert following is not None
        assert following.status == case.then
        if case.then == 200:
            assert following.body == b"ok"
            assert front.backend.taken() == list(sent(b"GET /next"))
        else:
            assert read_reply(client) is None
            assert not front.backend.taken()


@pytest.mark.parametrize("case", [case for case in CORPUS if not case.reaches], ids=lambda case: case.name)
def test_what_is_refused_reaches_nobody_nor_does_anything_behind_it(front: Front, case: Case) -> None:
    with front.connect() as client:
        client.sendall(case.raw if case.alone else case.raw + BEHIND)
        if case.status == 0:
            client.shutdown(socket.SHUT_WR)
        replies = []
        while (reply := read_reply(client)) is not None:
            replies.append(reply)
    assert [reply.status for reply in replies] == ([case.status] if case.status else [])
    for reply in replies:
        assert reply.headers[b"connection"] == b"close" or reply.status == 413
    if case.status in {400, 431}:
        assert replies[0].headers[b"content-type"] == b"application/problem+json"

    with front.connect() as another:
        another.sendall(NEXT)
        following = read_reply(another)
    assert following is not None
    assert following.body == b"ok"
    assert front.backend.taken() == list(sent(b"GET /next"))


HOSTILE_ANSWERS = {
    "CR in a value": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\ncontent-length: 2\r\n\r\nok",
    "LF in a value": b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\ncontent-length: 2\r\n\r\nok",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX: a\x00\r\ncontent-length: 2\r\n\r\nok",
    "a fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
    "a space in a name": b"HTTP/1.1 200 OK\r\nX Y: a\r\ncontent-length: 2\r\n\r\nok",
    "CL and TE": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "TE and CL": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "CL twice, differing": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "CL with a plus": b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
    "CL longer than the body": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok",
    "a chunk size of letters": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxy\r\nok\r\n0\r\n\r\n",
    "a chunk that is too long": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
    "a chunk with a minus": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n-1\r\n\r\n0\r\n\r\n",
    "chunks without an end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    "LF behind a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n",
    "headers of 1 MB": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000 + b"\r\ncontent-length: 2\r\n\r\nok",
    "10,000 headers of 100 bytes": b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"a" * 97 + b"\r\n") * 10_000 + b"\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
    "nothing": b"",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=_or_otherwise(name)) for name in HOSTILE_ANSWERS])
def test_a_hostile_answer_is_never_passed_on_as_a_whole_one(front: Front, name: str) -> None:
    front.backend.answer, front.backend.closes = HOSTILE_ANSWERS[name], True
    try:
        with front.connect() as client:
            client.sendall(NEXT)
            data = read_to_the_end(client)
    finally:
        front.backend.answer, front.backend.closes = OK, False

    assert b"set-cookie" not in data.lower()
    assert data.startswith(b"HTTP/1.1 50") or not _is_whole(data), data
    with front.connect() as client:
        client.sendall(NEXT)
        following = read_reply(client)
    assert following is not None
    assert following.body == b"ok"
    assert front.backend.taken()[-1:] == list(sent(b"GET /next"))


def read_to_the_end(client: socket.socket) -> bytes:
    """Read until the answer is whole or the connection ends, however."""
    data = bytearray()
    try:
        while not _is_whole(bytes(data)) and (piece := client.recv(1 << 16)):
            data += piece
    except ConnectionResetError:
        pass
    return bytes(data)


def _is_whole(data: bytes) -> bool:
    """Whether a client would take this for a complete answer."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return False
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    return length is None or len(body) >= int(length[1])


ODD_BODIES = {
    "events with CR-only lines": b'data: {"a":1}\r\rdata: [DONE]\r\r',
    "an event of 10 MB": b"data: " + b"a" * 10_000_000 + b"\n\n",
    "an event without a line end": b"data: x",
    "NDJSON without an end": b'{"a":1}\n{"a":',
    "JSON 100,000 deep": b"[" * 100_000,
    "no UTF-8": b"\xff\xfe\x80" * 100,
    "an answer": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("content_type", [b"text/event-stream", b"application/x-ndjson", b"application/json"])
@pytest.mark.parametrize("name", ODD_BODIES)
def test_an_odd_body_of_an_answer_passes_untouched(front: Front, name: str, content_type: bytes) -> None:
    body = ODD_BODIES[name]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (content_type, len(body))
    front.backend.answer = head + body
    try:
        with front.connect() as client:
            client.sendall(post(b"Content-Length: 12\r\n", b'{"user":"u"}', CHAT))
            reply = read_reply(client)
    finally:
        front.backend.answer = OK
        front.backend.taken()

    assert reply is not None
    assert reply.body == body


def test_all_of_it_was_recorded_and_can_be_read_again(front: Front) -> None:
    """Runs last: what is in the journal now is what the recorder would have to swallow."""
    entries = [entry for path in sorted(front.journal.glob("*.journal")) for entry in read_segment(path)]
    exchanges = [entry.record for entry in entries if isinstance(entry, Entry) and isinstance(entry.record, Exchange)]

    assert len(exchanges) == len(entries)
    assert len(exchanges) > len([case for case in CORPUS if case.reaches])
    for exchange in exchanges:
        speaks = protocol(exchange.protocol)
        speaks.prompt(exchange.request_text)
        speaks.answer(exchange.response_text)
