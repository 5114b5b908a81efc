"""One endpoint: what it is fit for, and what its answers say of it."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import Ejection
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind
from router.upstream.endpoint import Condition, Endpoint
from router.upstream.upstream import Transports, Upstream

CHAT = "/v1/chat/completions"
STREAM = b'{"messages": [{"content": "a b c"}], "stream": true}'
EJECTION = Ejection(failures=2, seconds=0.05)


@pytest.fixture(name="transports")
async def _transports() -> AsyncIterator[Transports]:
    transports = Transports(RouterSettings(first_byte_timeout_s=0.3))
    yield transports
    await transports.close()


async def ask(upstream: Upstream, *, read_all: bool = True) -> str:
    """Ask once; returns the status, or the kind of the failure."""
    try:
        with await upstream.open("POST", CHAT, [], STREAM) as response:
            while read_all and await response.read():
                pass
            return str(response.status)
    except UpstreamError as error:
        return error.kind.value


def test_the_most_lasting_reason_is_the_one_that_is_told() -> None:
    endpoint = Endpoint("original", "http://a/", transport=None, ejection=EJECTION)  # type: ignore[arg-type]
    assert (endpoint.condition, endpoint.url) == (Condition.AVAILABLE, "http://a")

    for _ in range(2):
        endpoint.end(endpoint.begin(0.0), failed=True)
    assert endpoint.condition is Condition.EJECTED
    endpoint.begin(1e9)
    assert endpoint.condition is Condition.HALF_OPEN
    endpoint.healthy = False
    assert endpoint.condition is Condition.UNHEALTHY
    endpoint.drained = True
    assert endpoint.condition is Condition.DRAINED


def test_as_much_may_be_out_to_it_as_is_configured() -> None:
    endpoint = Endpoint("original", "http://a", transport=None, ejection=EJECTION, max_outstanding=1)  # type: ignore[arg-type]
    ticket = endpoint.begin(0.0)
    assert not endpoint.is_available(0.0)

    endpoint.end(ticket, failed=False)

    assert endpoint.is_available(0.0)


def test_half_of_the_room_is_kept_for_requests_that_must_be_sent() -> None:
    endpoint = Endpoint("original", "http://a", transport=None, ejection=EJECTION, max_outstanding=4)  # type: ignore[arg-type]
    spare = []
    for _ in range(4):
        spare.append(endpoint.has_room_to_spare)
        endpoint.begin(0.0)

    assert spare == [True, True, False, False]
    assert not endpoint.has_room


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Behaviour(status=500), ["500", "500", "unavailable"]),
        (Behaviour(hang=True), ["timeout", "timeout", "unavailable"]),
        (Behaviour(break_after_chunks=1), ["reset", "reset", "unavailable"]),
        (Behaviour(status=429), ["429", "429", "429"]),
        (Behaviour(status=404), ["404", "404", "404"]),
    ],
    ids=["5xx", "silence", "broken-off", "429-is-alive", "4xx-is-the-callers"],
)
async def test_what_counts_as_a_failure(transports: Transports, fault: Behaviour, seen: list[str]) -> None:
    with serving(FakeBackend(fault)) as url:
        upstream = Upstream(Backend(name="original", urls=(url,), ejection=EJECTION), transports, 30.0)

        assert [await ask(upstream) for _ in range(3)] == seen


async def test_a_refused_connection_is_a_failure_and_a_server_that_is_back_is_found_by_one_try(
    transports: Transports,
) -> None:
    with bind("127.0.0.1:0") as listening:
        port = listening.getsockname()[1]
    ejection = Ejection(failures=2, seconds=0.05)
    upstream = Upstream(
        Backend(name="original", urls=(f"http://127.0.0.1:{port}",), ejection=ejection), transports, 30.0
    )
    [endpoint] = upstream.endpoints
    assert [await ask(upstream) for _ in range(3)] == ["connect", "connect", "unavailable"]

    with serving(FakeBackend(), f"127.0.0.1:{port}"):
        due = endpoint.breaker._due_at
        assert endpoint.is_available(due)
        endpoint.breaker._due_at = 0.0
        assert await ask(upstream) == "200"

    assert endpoint.condition is Condition.AVAILABLE


async def test_an_answer_that_its_client_left_is_no_verdict(transports: Transports) -> None:
    with serving(FakeBackend(Behaviour(chunks=5, chunk_delay_ms=60_000))) as url:
        upstream = Upstream(Backend(name="original", urls=(url,), ejection=EJECTION), transports, 30.0)
        [endpoint] = upstream.endpoints
        endpoint.breaker.failed(endpoint.breaker.begin(0.0), 0.0)

        for _ in range(2):
            assert await ask(upstream, read_all=False) == "200"

    assert endpoint.breaker._in_a_row == 1
    assert endpoint.outstanding == 0


async def test_an_answer_is_closed_once(transports: Transports) -> None:
    with serving(FakeBackend()) as url:
        upstream = Upstream(Backend(name="original", urls=(url,)), transports, 30.0)
        response = await upstream.open("POST", CHAT, [], STREAM)
        response.close()
        response.close()
        with suppress(UpstreamError):
            response.give_up(UpstreamError(ErrorKind.RESET, "late"))

    assert upstream.endpoints[0].outstanding == 0
