"""Warm-up requests: read strictly, sent before traffic and when it is quiet, never in the way of a start."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import Spot, Warmup
from experiments.model import Exchange, Role
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind
from router.upstream.upstream import Transports, Upstream
from router.upstream.warmup import Warmer, WarmupError, WarmupRequest, read_all, read_requests

CHAT = "/v1/chat/completions"
REQUESTS = tuple(
    WarmupRequest(path, {"model": "support", "messages": [{"role": "user", "content": text}]})
    for path, text in ((CHAT, "hello"), (f"{CHAT}?x=1", "hello again"))
)


@pytest.fixture(name="fake")
def _fake() -> Iterator[Callable[..., tuple[FakeBackend, str]]]:
    """Start a fake backend; returns it and its URL."""
    with ExitStack() as stack:

        def start(**behaviour) -> tuple[FakeBackend, str]:
            backend = FakeBackend(Behaviour(**behaviour))
            return backend, stack.enter_context(serving(backend))

        yield start


@pytest.fixture(name="warmer")
async def _warmer(tmp_path: Path) -> AsyncIterator[Callable[..., tuple[Warmer, list[Exchange]]]]:
    """Make a warmer of some endpoints; returns it and what it will have recorded."""
    async with AsyncExitStack() as stack:

        def make(*urls: str, last_used=None, limit_s: float = 60.0, **settings) -> tuple[Warmer, list[Exchange]]:
            warmup = Warmup(requests=tmp_path / "warmup.jsonl", **settings)
            backend = Backend(name="original", urls=urls, warmup=warmup)
            transports = Transports(RouterSettings())
            stack.push_async_callback(transports.close)
            recorded: list[Exchange] = []
            upstream = Upstream(backend, transports, 30.0)
            return Warmer(backend, REQUESTS, upstream, recorded.append, last_used, limit_s), recorded

        yield make


def refused_url() -> str:
    with bind("127.0.0.1:0") as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read_line_by_line_and_blank_lines_are_passed_over(tmp_path) -> None:
    path = tmp_path / "warmup.jsonl"
    path.write_text('{"path": "/v1/x?y=1", "body": {"a": [1]}}\n\n{"path": "/", "body": {}}\n')

    assert read_requests(path) == (WarmupRequest("/v1/x?y=1", {"a": [1]}), WarmupRequest("/", {}))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"path": "/x"}', "missing required field `body`"),
        ('{"body": {}}', "missing required field `path`"),
        ('{"path": "/x", "body": "text"}', "Expected `object`, got `str` - at `$.body`"),
        ('{"path": "/x", "body": {}, "method": "GET"}', "unknown field `method`"),
        ('{"path": "v1", "body": {}}', "path 'v1' must start with /"),
        ('{"path": "http://other/v1", "body": {}}', "must start with /"),
        ('{"path": "/a b", "body": {}}', "neither spaces"),
        ('{"path": "/a\\r\\nx: y", "body": {}}', "neither spaces"),
        ('{"path": "/a#b", "body": {}}', "neither spaces"),
        ('{"path": "/ä", "body": {}}', "neither spaces"),
        ('{"path": "/x", "body": ' + '{"a":' * 5000, ""),
        ("\x80", ""),
    ],
)
def test_a_line_that_is_no_request_is_refused_with_file_line_and_rule(tmp_path, line: str, rule: str) -> None:
    path = tmp_path / "warmup.jsonl"
    path.write_bytes(b'{"path": "/x", "body": {}}\n' + line.encode("latin-1" if line == "\x80" else "utf-8"))

    with pytest.raises(WarmupError) as caught:
        read_requests(path)

    assert str(caught.value).startswith(f"{path}:2: ")
    assert rule in str(caught.value)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_they_are_requests_or_one_clear_error(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)

    error = ""
    try:
        found = read_requests(path)
    except WarmupError as caught:
        error = str(caught)

    assert error.startswith(str(path)) if error else all(request.path.startswith("/") for request in found)


def test_a_file_that_is_empty_or_missing_is_refused(tmp_path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n \n")

    with pytest.raises(WarmupError, match=r"empty\.jsonl: has no request"):
        read_requests(empty)
    with pytest.raises(WarmupError, match=r"none\.jsonl: No such file"):
        read_requests(tmp_path / "none.jsonl")


def test_only_backends_with_a_warmup_have_requests(tmp_path) -> None:
    path = tmp_path / "warmup.jsonl"
    path.write_text('{"path": "/x", "body": {}}\n')
    backends = {
        "a": Backend(name="a", urls=("http://a",), warmup=Warmup(requests=path)),
        "b": Backend(name="b", urls=("http://b",)),
    }

    assert read_all(backends) == {"a": (WarmupRequest("/x", {}),)}


# --- before traffic ---------------------------------------------------------------------------------------------------


async def test_before_traffic_every_request_is_sent_once_in_order_and_recorded_as_warm_up(warmer, fake) -> None:
    backend, url = fake()
    before, recorded = warmer(url)

    await before.before_traffic()

    assert [msgspec.json.decode(r["body"]) for r in backend.received] == [r.body for r in REQUESTS]
    assert [(r["method"], r["path"], r["query"]) for r in backend.received] == [
        ("POST", CHAT, b""),
        ("POST", CHAT, b"x=1"),
    ]
    assert (b"content-type", b"application/json") in backend.received[0]["headers"]
    assert len({exchange.id for exchange in recorded}) == 2
    for exchange, request in zip(recorded, REQUESTS, strict=True):
        assert (exchange.role, exchange.experiment, exchange.epoch, exchange.unit) == (Role.WARMUP, "", 0, "")
        assert (exchange.pair, exchange.assigned, exchange.served, exchange.error) == ("", "", "", "")
        assert (exchange.backend, exchange.endpoint, exchange.status, exchange.path) == ("original", url, 200, CHAT)
        assert exchange.bytes_in == len(msgspec.json.encode(request.body))
        assert exchange.bytes_out > 0
        assert exchange.latency_ms >= exchange.ttft_ms > 0
        assert (exchange.request_text, exchange.response_text) == ("", "")


async def test_each_of_several_endpoints_gets_every_request(warmer, fake) -> None:
    backends, urls = zip(*(fake() for _ in range(3)), strict=True)
    before, recorded = warmer(*urls)

    await before.before_traffic()

    for backend in backends:
        assert [msgspec.json.decode(r["body"]) for r in backend.received] == [r.body for r in REQUESTS]
    assert len(recorded) == 6


async def test_nothing_is_sent_before_traffic_unless_it_is_asked_for(warmer, fake) -> None:
    backend, url = fake()
    before, recorded = warmer(url, before_traffic=False, quiet_s=1.0)

    await before.before_traffic()

    assert (backend.received, recorded) == ([], [])


async def test_a_backend_that_is_down_is_logged_and_recorded_and_stops_nobody(warmer) -> None:
    before, recorded = warmer(refused_url())

    with capture_logs() as logs:
        await before.before_traffic()

    assert [exchange.error for exchange in recorded] == ["connect", "connect"]
    assert [(log["event"], log["good"], log["of"], log["first"]) for log in logs] == [
        ("warmup_incomplete", 0, 2, "connect")
    ]


@pytest.mark.parametrize(("status", "error"), [(500, "status"), (429, "status"), (404, "")])
async def test_an_answer_that_says_no_is_logged_and_only_the_backends_own_failure_is_an_error(
    warmer, fake, status: int, error: str
) -> None:
    _, url = fake(status=status)
    before, recorded = warmer(url)

    with capture_logs() as logs:
        await before.before_traffic()

    assert {(exchange.status, exchange.error) for exchange in recorded} == {(status, error)}
    assert [log["first"] for log in logs if log["event"] == "warmup_incomplete"] == [f"status {status}"]


async def test_a_backend_that_hangs_delays_the_start_only_up_to_the_limit(warmer, fake) -> None:
    _, url = fake(hang=True)
    before, recorded = warmer(url, limit_s=0.2)

    with capture_logs() as logs:
        async with asyncio.timeout(5):
            await before.before_traffic()

    assert [exchange.error for exchange in recorded] == ["cancelled"]
    assert [(log["event"], log["good"], log["first"]) for log in logs] == [("warmup_incomplete", 0, "out of time")]


# --- quiet periods ----------------------------------------------------------------------------------------------------


async def test_in_quiet_periods_the_requests_of_the_file_are_sent_in_turn(warmer, fake) -> None:
    backend, url = fake()
    keeping, recorded = warmer(url, quiet_s=0.05)

    task = asyncio.create_task(keeping.keep_warm())
    await until(lambda: len(recorded) >= 3)
    await stop(task)

    queries = [r["query"] for r in backend.received[:3]]
    assert queries == [b"", b"x=1", b""]
    gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(recorded)]
    assert min(gaps) >= 0.045, "a request of its own is traffic too: the next one waits as long"
    assert {exchange.role for exchange in recorded} == {Role.WARMUP}


async def test_while_there_is_traffic_nothing_is_sent(warmer, fake) -> None:
    _, url = fake()
    busy = True
    keeping, recorded = warmer(url, quiet_s=0.05, last_used=lambda: time.monotonic() if busy else 0.0)

    task = asyncio.create_task(keeping.keep_warm())
    await asyncio.sleep(0.3)
    sent_while_busy = len(recorded)
    busy = False
    await until(lambda: bool(recorded))
    await stop(task)

    assert sent_while_busy == 0


async def test_without_a_quiet_time_nothing_is_kept_warm(warmer, fake) -> None:
    _, url = fake()
    keeping, recorded = warmer(url)

    async with asyncio.timeout(1):
        await keeping.keep_warm()

    assert recorded == []


async def test_failing_is_logged_once_an_episode_and_the_loop_goes_on_until_it_works_again(warmer, fake) -> None:
    backend, url = fake(status=500)
    keeping, recorded = warmer(url, quiet_s=0.02)

    with capture_logs() as logs:
        task = asyncio.create_task(keeping.keep_warm())
        await until(lambda: len(recorded) >= 3)
        backend.behaviour = Behaviour()
        await until(lambda: recorded[-1].status == 200)
        await until(lambda: logs[-1]["event"] == "warmup_works_again")
        await stop(task)

    ours = [log["event"] for log in logs if log["event"].startswith("warmup")]
    assert ours == ["warmup_failing", "warmup_works_again"]


async def test_a_round_that_is_stopped_in_the_middle_is_recorded_as_given_up(warmer, fake) -> None:
    backend, url = fake(hang=True)
    keeping, recorded = warmer(url, quiet_s=0.02)

    task = asyncio.create_task(keeping.keep_warm())
    await until(lambda: bool(backend.received))
    await stop(task)

    assert [exchange.error for exchange in recorded] == ["cancelled"]


# --- in the proxy -----------------------------------------------------------------------------------------------------


async def test_a_proxy_is_ready_when_its_backends_are_warm_and_no_experiment_hears_of_it(plane, tmp_path) -> None:
    file = tmp_path / "warm.jsonl"
    file.write_text('{"path": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "hi"}]}}\n')

    running = plane(backend={"warmup": Warmup(requests=file)})

    counts = [backend.counts["/v1/chat/completions"] for backend in (running.control, running.treatment)]
    warm = running.exchanges(2, "warmup")
    assert counts == [1, 1]
    assert {(e.experiment, e.status, e.error) for e in warm} == {("", 200, "")}
    assert sorted(e.backend for e in warm) == ["int4", "original"]


async def test_machines_on_demand_are_warmed_up_behind_spot_instances(fake, tmp_path: Path) -> None:
    (spot, spot_url), (on_demand, on_demand_url) = fake(cold_start_ms=20), fake(cold_start_ms=20)
    backend = Backend(
        name="pool",
        urls=(on_demand_url, spot_url),
        spot=Spot(urls=(spot_url,)),
        warmup=Warmup(requests=tmp_path / "warmup.jsonl"),
    )
    transports = Transports(RouterSettings())
    upstream = Upstream(backend, transports, 30.0)
    await Warmer(backend, REQUESTS, upstream, lambda _: None).before_traffic()
    with await upstream.open("POST", CHAT, [(b"user-agent", b"user")], b'{"messages": [{"content": "a"}]}') as response:
        await response.read()
    await transports.close()

    assert spot.met_cold == on_demand.met_cold == [b"touchstone-warmup"]
