"""One backend: which endpoint gets a request, what its failures are called, and when a silence is a stall."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress

import pytest
from pydantic import SecretStr

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import BackendTls, Spot
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind
from router.upstream.transports.aiohttp_client import ClientTransport
from router.upstream.transports.http1 import Http1Transport
from router.upstream.upstream import CertificateError, Transports, Upstream, UpstreamResponse

CHAT = "/v1/chat/completions"
STREAM = b'{"messages": [{"content": "a b c"}], "stream": true}'
LIMIT_S = 30.0


@pytest.fixture(name="upstream", params=["http1", "aiohttp"])
async def _upstream(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Upstream]]:
    """A backend of some endpoints, over either transport."""
    async with AsyncExitStack() as stack:

        def make(*urls: str, **settings: float) -> Upstream:
            transports = Transports(RouterSettings(http_transport=request.param, **settings))
            stack.push_async_callback(transports.close)
            return Upstream(Backend(name="original", urls=urls), transports, LIMIT_S)

        yield make


@pytest.fixture(name="fake")
def _fake():
    """Start a fake backend; returns it and its URL."""
    with ExitStack() as stack:

        def start(**behaviour) -> tuple[FakeBackend, str]:
            backend = FakeBackend(Behaviour(**behaviour))
            return backend, stack.enter_context(serving(backend))

        yield start


@asynccontextmanager
async def answering(*pieces: bytes, close: bool = True) -> AsyncIterator[str]:
    """A server that answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if not close:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def refused_url() -> str:
    """An address on loopback at which nobody listens."""
    with bind("127.0.0.1:0") as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def ask(upstream: Upstream, target: str = CHAT, method: str = "POST", body: bytes = b"", **headers: str):
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    return await upstream.open(method, target, sent, body)


async def read(response: UpstreamResponse) -> bytes:
    """Read an answer as the proxy does."""
    body = b""
    with response:
        while piece := await response.read():
            body += piece
            response.taken_bytes = len(body)
    return body


def outstanding(upstream: Upstream) -> list[int]:
    return [endpoint.outstanding for endpoint in upstream.endpoints]


async def failure(awaitable) -> ErrorKind:
    with pytest.raises(UpstreamError) as caught:
        await awaitable
    assert str(caught.value), "an error says something"
    return caught.value.kind


# --- which endpoint ---------------------------------------------------------------------------------------------------


async def test_an_answer_says_which_endpoint_gave_it(upstream, fake) -> None:
    backend, url = fake()
    original = upstream(f"{url}/")

    response = await ask(original, "/v1/models?x=1", "GET", accept="text/plain")
    assert outstanding(original) == [1]
    body = await read(response)

    assert (response.status, response.endpoint_url) == (200, url)
    assert b'"fake"' in body
    assert (backend.received[0]["path"], backend.received[0]["query"]) == ("/v1/models", b"x=1")
    assert outstanding(original) == [0]


async def test_the_endpoint_with_the_fewest_requests_out_gets_the_next_one(upstream, fake) -> None:
    backends, urls = zip(*(fake(chunks=2, chunk_delay_ms=60_000) for _ in range(3)), strict=True)
    original = upstream(*urls)

    held = [await ask(original, body=STREAM) for _ in range(7)]
    spread = outstanding(original)
    freed = held.pop(1)
    with suppress(UpstreamError):
        freed.give_up(None)
    held.append(await ask(original, body=STREAM))

    assert sorted(spread) == [2, 2, 3]
    assert held[-1].endpoint_url == freed.endpoint_url
    assert [sum(backend.counts.values()) for backend in backends] == [
        spread[n] + (urls[n] == freed.endpoint_url) for n in range(3)
    ]
    for response in held:
        response.give_up(None)
    assert outstanding(original) == [0, 0, 0]


async def test_whatever_becomes_of_a_request_it_is_no_longer_counted_as_out(upstream, fake) -> None:
    _, hanging = fake(hang=True)
    _, breaking = fake(chunks=5, break_after_chunks=2)
    ways = [upstream(refused_url()), upstream(hanging, first_byte_timeout_s=0.1), upstream(breaking)]
    cancelled = upstream(hanging)

    for way in ways:
        with pytest.raises(UpstreamError):
            await read(await ask(way, body=STREAM))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ask(cancelled)

    assert [outstanding(way) for way in (*ways, cancelled)] == [[0]] * 4


async def test_endpoints_that_are_equally_busy_take_turns(upstream, fake) -> None:
    backends, urls = zip(*(fake() for _ in range(3)), strict=True)
    original = upstream(*urls)

    for _ in range(9):
        await read(await ask(original, "/echo", body=b"x"))

    assert [sum(backend.counts.values()) for backend in backends] == [3, 3, 3]


async def test_a_drained_endpoint_finishes_what_is_out_to_it_and_gets_nothing_new(upstream, fake) -> None:
    (first, first_url), (second, second_url) = fake(chunks=3, chunk_delay_ms=50), fake()
    original = upstream(first_url)
    original.endpoints += upstream(second_url).endpoints
    running = asyncio.ensure_future(read(await ask(original, body=STREAM)))
    began = sum(first.counts.values()) + sum(second.counts.values())

    original.drain({first_url})
    for _ in range(4):
        await read(await ask(original, "/echo", body=b"x"))

    assert began == 1
    assert (await running).endswith(b"data: [DONE]\n\n")
    assert first.counts["/echo"] == 0
    assert second.counts["/echo"] == 4
    original.drain(set())
    assert not any(endpoint.drained for endpoint in original.endpoints)


async def test_when_all_is_drained_nobody_is_asked_not_even_as_the_last_resort(upstream, fake) -> None:
    backend, url = fake()
    original = upstream(url)
    original.drain({url})

    assert await failure(ask(original)) is ErrorKind.DRAINED
    assert await failure(original.open("GET", "/", [], b"", last_resort=True)) is ErrorKind.DRAINED
    assert not backend.counts


async def test_a_backend_with_a_key_of_its_own_gets_that_and_not_the_clients(fake) -> None:
    backend, url = fake()
    transports = Transports(RouterSettings())
    original = Upstream(Backend(name="original", urls=(url,)), transports, LIMIT_S, SecretStr("ours"))
    headers = [(b"authorization", b"Bearer theirs")]

    await read(await original.open("POST", "/echo", headers, b"x"))
    await transports.close()

    assert [v for n, v in backend.received[0]["headers"] if n == b"authorization"] == [b"Bearer ours"]
    assert headers == [(b"authorization", b"Bearer theirs")], "another backend may still be asked in the client's name"


# --- what a request and an answer look like ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 70_000, 3 * 2**20])
async def test_a_body_of_any_size_arrives_as_it_was(upstream, fake, size: int) -> None:
    backend, url = fake()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    await read(await ask(upstream(url), "/echo", body=body))

    assert backend.received[0]["body"] == body


async def test_the_backend_learns_nothing_that_the_client_did_not_say(upstream, fake) -> None:
    backend, url = fake()

    await read(await ask(upstream(url), "/echo", body=b"x", authorization="Bearer key"))

    assert sorted(name for name, _ in backend.received[0]["headers"]) == [b"authorization", b"content-length", b"host"]


async def test_a_redirect_a_cookie_and_a_compressed_body_are_the_clients_affair(upstream) -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=1\r\ncontent-encoding: gzip\r\n"

    async with answering(head + b"content-length: %d\r\n\r\n" % len(packed) + packed) as url:
        original = upstream(url)
        first = await ask(original, method="GET")
        body = await read(first)
        second = await ask(original, method="GET")
        await read(second)

    assert (first.status, second.status, body) == (302, 302, packed)
    assert (b"location", b"/elsewhere") in [(name.lower(), value) for name, value in first.headers]


# --- whose fault ------------------------------------------------------------------------------------------------------


async def test_nobody_at_the_address_is_a_failure_to_connect(upstream) -> None:
    assert await failure(ask(upstream(refused_url()))) is ErrorKind.CONNECT


async def test_a_connection_that_is_never_accepted_is_given_up_at_the_connect_timeout(upstream) -> None:
    with bind("127.0.0.1:0") as full:
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port)) for _ in range(4)]
        await asyncio.sleep(0.1)
        kind = await failure(ask(upstream(f"http://127.0.0.1:{port}", connect_timeout_s=0.2)))
        for attempt in waiting:
            attempt.cancel()
        for found in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(found, tuple):
                found[1].close()

    assert kind is ErrorKind.CONNECT


async def test_silence_before_the_first_byte_is_a_timeout(upstream, fake) -> None:
    _, url = fake(hang=True)

    assert await failure(ask(upstream(url, first_byte_timeout_s=0.1))) is ErrorKind.TIMEOUT


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        pytest.param([], ErrorKind.RESET, id="nothing"),
        pytest.param([b"HTTP/1.1 200"], ErrorKind.RESET, id="half-a-line"),
        pytest.param([b"SSH-2.0-x\r\n\r\n"], ErrorKind.MALFORMED, id="another-protocol"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"], ErrorKind.MALFORMED, id="no-length"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"], ErrorKind.RESET, id="half-a-body"),
    ],
)
async def test_what_a_backend_does_wrong_has_its_name(upstream, pieces: list[bytes], kind: ErrorKind) -> None:
    async def exchange(url: str) -> bytes:
        return await read(await ask(upstream(url)))

    async with answering(*pieces) as url:
        assert await failure(exchange(url)) is kind


async def test_an_error_of_the_reader_itself_is_no_error_of_the_backend(upstream, fake) -> None:
    _, url = fake(chunks=3, chunk_delay_ms=60_000)
    original = upstream(url)

    async def stumble() -> None:
        with await ask(original, body=STREAM) as response:
            await response.read()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await stumble()

    assert outstanding(original) == [0]
    assert not original.open_answers


# --- stalls -----------------------------------------------------------------------------------------------------------


async def _silent(upstream: Upstream) -> tuple[UpstreamResponse, float]:
    """An answer that falls silent after its first piece, which its reader has taken; and the time."""
    response = await ask(upstream, body=STREAM)
    response.taken_bytes = len(await response.read())
    now = asyncio.get_running_loop().time()
    upstream.sweep(now)
    return response, now


async def test_a_body_that_is_silent_for_longer_than_the_limit_is_broken_off_as_a_timeout(upstream, fake) -> None:
    _, url = fake(chunks=2, chunk_delay_ms=60_000)
    original = upstream(url)
    response, now = await _silent(original)

    reading = asyncio.ensure_future(read(response))
    await asyncio.sleep(0.05)
    original.sweep(now + LIMIT_S)
    await asyncio.sleep(0.05)
    assert not reading.done(), "exactly the limit is not longer than the limit"
    original.sweep(now + LIMIT_S + 0.001)

    assert await failure(reading) is ErrorKind.TIMEOUT
    assert outstanding(original) == [0]


async def test_a_body_that_goes_on_is_given_the_whole_limit_anew(upstream, fake) -> None:
    _, url = fake(chunks=4, chunk_delay_ms=50)
    original = upstream(url)
    response, now = await _silent(original)
    reading = asyncio.ensure_future(read(response))
    while not reading.done():
        now += LIMIT_S * 0.9
        original.sweep(now)
        await asyncio.sleep(0.06)

    assert (await reading).endswith(b"data: [DONE]\n\n")


async def test_what_waits_for_a_slow_reader_is_no_silence_of_the_backend(upstream, fake) -> None:
    _, url = fake(chunks=2, chunk_delay_ms=60_000)
    original = upstream(url)
    response = await ask(original, body=STREAM)
    await asyncio.sleep(0.1)
    now = asyncio.get_running_loop().time()

    for _ in range(5):
        now += LIMIT_S * 2
        original.sweep(now)

    assert await response.read()
    response.give_up(None)


async def test_a_body_that_is_complete_is_never_a_stall(upstream, fake) -> None:
    _, url = fake()
    original = upstream(url)
    response = await ask(original, "/v1/models", "GET")
    body = await response.read()
    response.taken_bytes = len(body)
    await asyncio.sleep(0.1)

    for hour in range(5):
        original.sweep(asyncio.get_running_loop().time() + 3_600 * hour)

    assert b'"fake"' in body
    assert await read(response) == b"", "its reader may take its time to come back for the end"
    assert not original.open_answers


async def test_only_the_answer_that_is_silent_is_broken_off(upstream, fake) -> None:
    _, slow = fake(chunks=2, chunk_delay_ms=60_000)
    original = upstream(slow, slow)
    first, now = await _silent(original)
    second = await ask(original, body=STREAM)
    second.taken_bytes = len(await second.read())

    original.sweep(now + LIMIT_S * 0.8)
    original.sweep(now + LIMIT_S * 1.2)

    assert await failure(read(first)) is ErrorKind.TIMEOUT
    assert sorted(outstanding(original)) == [0, 1]
    second.give_up(None)


# --- transports -------------------------------------------------------------------------------------------------------


async def test_the_scheme_and_the_configuration_choose_the_transport() -> None:
    kinds = {}
    for name in ("http1", "aiohttp"):
        transports = Transports(RouterSettings(http_transport=name))
        kinds[name] = [type(transports.of(url)) for url in ("http://a", "HTTP://a", "https://a")]
        assert transports.of("http://a") is transports.of("http://b"), "connections are shared"
        await transports.close()

    assert kinds == {
        "http1": [Http1Transport, Http1Transport, ClientTransport],
        "aiohttp": [ClientTransport, ClientTransport, ClientTransport],
    }


async def test_whom_it_trusts_is_part_of_the_transport(tmp_path) -> None:
    transports = Transports(RouterSettings())
    try:
        by_default = transports.of("https://a")
        assert transports.of("https://b", BackendTls()) is by_default
        assert transports.of("https://a", BackendTls(verify=False)) is not by_default
        assert transports.of("http://a", BackendTls(verify=False)) is transports.of("http://a")
        (tmp_path / "ca.pem").write_text("no certificate")
        with pytest.raises(CertificateError, match=r"ca\.pem cannot be used"):
            transports.of("https://a", BackendTls(ca=tmp_path / "ca.pem"))
    finally:
        await transports.close()


async def test_it_says_how_it_is(upstream) -> None:
    assert repr(upstream("http://a/", "http://b")) == (
        "<Upstream original [<Endpoint http://a [0 outstanding]>, <Endpoint http://b [0 outstanding]>]>"
    )


async def test_a_dead_endpoint_beside_a_living_one_costs_no_user_an_answer() -> None:
    """A refused connection was never a request: the next endpoint may be asked without any doubt."""
    with bind("127.0.0.1:0") as free:
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    failed = 0
    with serving(FakeBackend()) as alive:
        transports = Transports(RouterSettings())
        upstream = Upstream(Backend(name="original", urls=(dead, alive)), transports, 30.0)
        for _ in range(20):
            try:
                response = await upstream.open("GET", "/v1/models", [], b"")
                with response:
                    while await response.read():
                        pass
            except UpstreamError:
                failed += 1
        await transports.close()
    assert failed == 0


async def test_spot_instances_are_asked_first_and_those_on_demand_when_none_can_be(fake) -> None:
    (spot, spot_url), (on_demand, on_demand_url) = fake(), fake()
    transports = Transports(RouterSettings())
    backend = Backend(name="pool", urls=(on_demand_url, spot_url), spot=Spot(urls=(spot_url,)))
    pool = Upstream(backend, transports, LIMIT_S)

    for _ in range(4):
        await read(await ask(pool, "/echo", body=b"x"))
    asked = (spot.counts["/echo"], on_demand.counts["/echo"])
    pool.note_termination_of(spot_url, True)
    for _ in range(3):
        await read(await ask(pool, "/echo", body=b"x"))
    await transports.close()

    assert asked == (4, 0)
    assert (spot.counts["/echo"], on_demand.counts["/echo"]) == (4, 3)


async def test_only_what_a_spot_instance_broke_off_is_sent_again_and_only_if_another_can_be_asked(upstream) -> None:
    transports = Transports(RouterSettings())
    spot = Spot(urls=("http://spot:1",))
    pool = Upstream(Backend(name="pool", urls=("http://spot:1", "http://other:1"), spot=spot), transports, LIMIT_S)
    alone = Upstream(Backend(name="alone", urls=("http://spot:1",), spot=spot), transports, LIMIT_S)
    reset, timeout = (UpstreamError(kind, "") for kind in (ErrorKind.RESET, ErrorKind.TIMEOUT))
    for way in (pool, alone):
        way.endpoints[0].end(way.endpoints[0].begin(0.0), failed=True)
    await transports.close()

    assert pool.may_send_again(reset)
    assert not pool.may_send_again(timeout), "it may still be at work"
    assert not alone.may_send_again(reset), "there is nobody else"
    assert not upstream("http://a:1", "http://b:1").may_send_again(reset), "only where spot instances are configured"
