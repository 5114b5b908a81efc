"""Traces, as a real collector gets them; and that a collector that is away, slow or full costs traffic nothing."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from experiments.config.serving import Tracing
from experiments.model import Exchange, Role
from router.fakes import wire
from router.fakes.server import serving
from router.processes.workers import bind
from router.telemetry import tracing
from router.telemetry.tracing import Span, Tracer, parse_traceparent

service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="needs the extra `otel`: pip install 'touchstone-router[otel]'",
)

CHAT = "/v1/chat/completions"
TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAMPLED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENT_IS_REMOTE = 0x200
UNSAMPLED = SAMPLED[:-1] + b"0"


@dataclass
class Collector:
    """An OTLP collector: keeps what it got, decoded by the protocol's own classes."""

    status: int = 200
    delay_s: float = 0.0
    requests: list[Any] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        body = await wire.read_body(receive)
        headers = dict(scope["headers"])
        assert (scope["path"], headers[b"content-type"]) == ("/v1/traces", b"application/x-protobuf")
        if headers.get(b"content-encoding") == b"gzip":
            body = gzip.decompress(body)
        time.sleep(self.delay_s)  # noqa: ASYNC251  # nothing else is served in this thread
        if self.status == 200:
            self.requests.append(service.ExportTraceServiceRequest.FromString(body))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def spans(self, count: int, seconds: float = 5.0) -> list[Any]:
        """Wait until so many spans have come, and return them."""
        deadline = time.monotonic() + seconds
        while True:
            found = [s for r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count
                return found
            time.sleep(0.01)


@pytest.fixture(name="collector")
def _collector() -> Iterator[tuple[Collector, str]]:
    collector = Collector()
    with serving(collector) as url:
        yield collector, f"{url}/v1/traces"


@pytest.fixture(name="tracer")
def _tracer() -> Iterator[Callable[..., Tracer]]:
    """Start a tracer that is closed at the end, whatever the test does."""
    with ExitStack() as stack:

        def start(endpoint: str, sample_percent: float = 100.0) -> Tracer:
            tracer = Tracer(Tracing(endpoint=endpoint, sample_percent=sample_percent))
            tracer.start()
            stack.callback(tracer.close, 0.1)
            return tracer

        yield start


def make(**changes: Any) -> Exchange:
    values: dict[str, Any] = {"id": "x1", "at": 1.0, "experiment": "support", "path": CHAT, "status": 200}
    return Exchange(**(values | changes))


def begun(tracer: Tracer, **headers: bytes) -> Span:
    span = tracer.begin({name.encode(): value for name, value in headers.items()})
    assert span is not None
    return span


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's attributes as plain values."""
    found = {}
    for item in span.attributes:
        kind = item.value.WhichOneof("value")
        value = getattr(item.value, kind)
        found[item.key] = [v.string_value for v in value.values] if kind == "array_value" else value
    return found


def refused_endpoint() -> str:
    with bind("127.0.0.1:0") as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1/traces"


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- what the collector gets ------------------------------------------------------------------------------------------


async def test_a_real_exchange_arrives_as_a_span_of_its_callers_trace(plane, collector, tracer) -> None:
    running, (app, endpoint) = plane(split=100), collector
    sending = tracer(endpoint)
    before = time.time_ns()
    span = begun(sending, traceparent=SAMPLED, tracestate=b"vendor=1")
    body = {"model": "support", "stream": True, "messages": [{"role": "user", "content": "my prompt"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.url + CHAT, json=body, headers={"x-user-id": "ann"}) as response,
    ):
        await response.read()
    [exchange] = running.exchanges(1)
    sending.end(span, exchange)
    [got] = app.spans(1)

    assert (got.trace_id, got.parent_span_id) == (TRACE.to_bytes(16), PARENT.to_bytes(8))
    assert got.span_id == span.span_id.to_bytes(8)
    assert got.flags & PARENT_IS_REMOTE
    assert (got.name, got.kind, got.trace_state, got.status.code) == ("chat support", 3, "vendor=1", 0)
    assert before <= got.start_time_unix_nano <= got.end_time_unix_nano <= time.time_ns()
    said = attributes(got)
    assert said["touchstone.exchange"] == exchange.id == response.headers["x-touchstone-exchange"]
    assert said["touchstone.variant"] == said["feature_flag.result.variant"] == "treatment"
    assert (said["gen_ai.request.model"], said["gen_ai.request.stream"]) == ("support", True)
    assert said["gen_ai.response.finish_reasons"] == ["stop"]
    assert said["gen_ai.response.time_to_first_chunk"] == pytest.approx(exchange.ttft_ms / 1e3)
    assert said["http.response.status_code"] == 200
    assert f"http://{said['server.address']}:{said['server.port']}" == exchange.endpoint
    assert b"my prompt" not in app.requests[0].SerializeToString()
    assert exchange.unit.encode() not in app.requests[0].SerializeToString()


def test_spans_come_from_the_service_touchstone(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)

    sending.end(begun(sending), make())
    app.spans(1)

    [resource] = [r.resource for r in app.requests[0].resource_spans]
    assert {a.key: a.value.string_value for a in resource.attributes}["service.name"] == "touchstone"
    assert app.requests[0].resource_spans[0].scope_spans[0].scope.name == "touchstone"


def test_a_failed_exchange_is_a_failed_span(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)

    sending.end(begun(sending), make(status=502, error="connect"))

    [got] = app.spans(1)
    assert got.status.code == 2
    assert attributes(got)["error.type"] == "connect"


def test_a_mirrored_request_is_a_child_of_the_live_one(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)
    live = begun(sending)

    child = live.child()
    sending.end(child, make(role=Role.SHADOW))
    sending.end(live, make())

    by_id = {span.span_id: span for span in app.spans(2)}
    root, below = by_id[live.span_id.to_bytes(8)], by_id[child.span_id.to_bytes(8)]
    assert root.parent_span_id == b""
    assert below.parent_span_id == root.span_id
    assert below.trace_id == root.trace_id
    assert (below.flags & PARENT_IS_REMOTE, attributes(below)["touchstone.role"]) == (0, "shadow")


# --- sampling and the context -----------------------------------------------------------------------------------------


def test_the_callers_decision_counts_more_than_the_share(tracer) -> None:
    none, every = tracer(refused_endpoint(), 0.0), tracer(refused_endpoint(), 100.0)

    assert none.begin({b"traceparent": SAMPLED}) is not None
    assert every.begin({b"traceparent": UNSAMPLED}) is None
    assert none.begin({}) is None
    assert none.begin({b"traceparent": b"nonsense"}) is None
    assert every.begin({b"traceparent": b"nonsense"}) is not None


def test_of_requests_without_a_decision_the_configured_share_is_sampled(tracer) -> None:
    sending = tracer(refused_endpoint(), 25.0)

    sampled = sum(sending.begin({}) is not None for _ in range(2_000))

    assert 380 <= sampled <= 620  # more than six standard deviations


def test_a_backend_gets_the_span_as_its_parent_and_the_callers_state(tracer) -> None:
    span = begun(tracer(refused_endpoint()), traceparent=SAMPLED, tracestate=b"vendor=1")
    headers = [(b"traceparent", SAMPLED), (b"traceparent", b"second"), (b"tracestate", b"vendor=1")]

    carried = span.carried_in(headers)

    parent = f"00-{TRACE:032x}-{span.span_id:016x}-01".encode()
    assert carried == [(b"traceparent", parent), (b"tracestate", b"vendor=1")]


def test_the_state_of_a_context_that_was_none_goes_no_further(tracer) -> None:
    span = begun(tracer(refused_endpoint()), traceparent=b"nonsense", tracestate=b"vendor=1")
    ((name, value),) = span.carried_in([(b"traceparent", b"nonsense"), (b"tracestate", b"vendor=1")])

    assert name == b"traceparent"
    assert parse_traceparent(value) == (span.trace_id, span.span_id, 1)


_ids = st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))


@given(_ids)
def test_a_correct_traceparent_is_read_as_it_was_written(ids: tuple[int, int, int]) -> None:
    trace_id, span_id, flags = ids

    assert parse_traceparent(b"00-%032x-%016x-%02x" % ids) == (trace_id, span_id, flags & 3)


@given(_ids)
def test_what_a_span_writes_is_read_back(ids: tuple[int, int, int]) -> None:
    trace_id, span_id, flags = ids
    span = Span(trace_id, span_id, 0, flags & 3, "", 0)

    assert parse_traceparent(span.traceparent.encode()) == (trace_id, span_id, flags & 3)


@given(st.binary(max_size=80))
def test_whatever_a_header_is_reading_it_never_raises(value: bytes) -> None:
    found = parse_traceparent(value)

    assert found is None or (0 < found[0] < 2**128 and 0 < found[1] < 2**64 and found[2] in range(4))


@given(st.integers(0, len(SAMPLED) - 1), st.integers(0, 255))
def test_one_wrong_byte_makes_it_none_or_another_correct_one(position: int, byte: int) -> None:
    changed = SAMPLED[:position] + bytes([byte]) + SAMPLED[position + 1 :]
    is_dash = position in (2, 35, 52)
    fits = byte == ord("-") if is_dash else byte in b"0123456789abcdef"

    found = parse_traceparent(changed)

    # A byte that fits may still make the version ff: not with one changed byte of 00.
    assert (found is not None) == fits


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"ff" + SAMPLED[2:],
        SAMPLED + b"-more",
        SAMPLED.upper(),
        b"00-" + b"0" * 32 + SAMPLED[35:],
        SAMPLED[:36] + b"0" * 16 + b"-01",
        SAMPLED[:-3],
        b" " + SAMPLED,
        SAMPLED.replace(b"-", b"_"),
    ],
)
def test_what_the_standard_forbids_is_none(value: bytes) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize("rest", [b"", b"-what-the-future-brings"])
def test_a_later_version_is_read_as_far_as_it_is_known(rest: bytes) -> None:
    assert parse_traceparent(b"01" + SAMPLED[2:] + rest) == (TRACE, PARENT, 1)


# --- when the collector does not do its part --------------------------------------------------------------------------


def test_spans_for_a_collector_that_is_away_are_dropped_and_counted_and_nobody_waits(tracer) -> None:
    sending = tracer(refused_endpoint())

    with capture_logs() as logs:
        started = time.monotonic()
        for _ in range(50):
            sending.end(begun(sending), make())
        took_s = time.monotonic() - started
        sending.close(grace_s=0.1)

    assert took_s < 1.0
    assert sending.dropped == 50
    assert [log["event"] for log in logs] == ["spans_not_delivered"]


def test_a_collector_that_refuses_and_recovers_is_told_once_each(collector, tracer) -> None:
    app, endpoint = collector
    app.status = 400
    sending = tracer(endpoint)

    with capture_logs() as logs:
        sending.end(begun(sending), make())
        wait_until(lambda: sending.dropped == 1)
        app.status = 200
        sending.end(begun(sending), make())
        app.spans(1)
        wait_until(lambda: len(logs) == 2)

    assert [log["event"] for log in logs] == ["spans_not_delivered", "spans_delivered_again"]
    assert sending.dropped == 1
    assert repr(sending) == "<Tracer [1 dropped]>"


def test_what_waits_is_bounded_in_number(collector, tracer, monkeypatch) -> None:
    monkeypatch.setattr(tracing, "_MOST_WAITING", 10)
    app, endpoint = collector
    app.delay_s = 0.3
    sending = tracer(endpoint)

    for _ in range(500):
        sending.end(begun(sending), make())
    sending.close(grace_s=5.0)

    arrived = len([s for r in app.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans])
    assert 10 <= arrived < 500
    assert arrived + sending.dropped == 500


def test_what_waits_is_bounded_in_the_size_of_the_texts(collector, tracer) -> None:
    app, endpoint = collector
    app.delay_s = 0.3
    sending = tracer(endpoint)
    long = make(request_text="x" * 2**20)

    for _ in range(200):
        sending.end(begun(sending), long)
    sending.close(grace_s=5.0)

    arrived = len([s for r in app.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans])
    assert 16 <= arrived <= 40
    assert arrived + sending.dropped == 200


def test_one_text_that_is_longer_than_all_that_may_wait_still_makes_a_span(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)

    sending.end(begun(sending), make(request_text="x" * (2**24 + 1)))

    app.spans(1)
    assert sending.dropped == 0


def test_a_span_that_cannot_be_built_takes_no_other_along(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)

    with capture_logs() as logs:
        sending.end(begun(sending), make(endpoint="http://[broken"))
        sending.end(begun(sending), make(id="x2"))
        [got] = app.spans(1)

    assert attributes(got)["touchstone.exchange"] == "x2"
    assert (sending.dropped, [log["event"] for log in logs]) == (1, ["span_not_built"])


def test_closing_sends_what_waits(collector, tracer) -> None:
    app, endpoint = collector
    sending = tracer(endpoint)

    for _ in range(600):
        sending.end(begun(sending), make())
    sending.close(grace_s=5.0)

    app.spans(600, seconds=0)
    assert sending.dropped == 0
    assert "traces" not in {thread.name for thread in threading.enumerate()}


def test_closing_waits_no_longer_than_about_its_grace_for_a_collector_that_hangs(collector, tracer) -> None:
    app, endpoint = collector
    app.delay_s = 2.5
    sending = tracer(endpoint)
    sending.end(begun(sending), make())

    started = time.monotonic()
    sending.close(grace_s=0.2)

    assert time.monotonic() - started < 2.0


def test_a_tracer_that_was_never_started_can_be_closed() -> None:
    Tracer(Tracing(endpoint=refused_endpoint())).close()
