"""OpenTelemetry traces: one span an exchange, for those that are sampled. Needs the extra `otel`.

On the hot path a span is four numbers. A thread turns those and the exchange into what the collector wants and sends
it; when it cannot keep up, spans are dropped and counted. Without `[router.tracing]`, OpenTelemetry is not imported.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from experiments.config.serving import Tracing
from experiments.model import Exchange
from router.headers import BackendHeaders, replaced
from router.telemetry.conventions import SERVICE_NAME
from router.telemetry.spans import describe

if TYPE_CHECKING:
    from opentelemetry import trace as trace_api
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_log = structlog.get_logger(__name__)
_random = random.Random()  # noqa: S311  # draws samples and ids, keeps no secret
_MOST_WAITING = 4096
_MOST_WAITING_CHARACTERS = 16 * 1024 * 1024
"""Of prompts and answers: a span holds its exchange until it is sent, and an exchange may hold two long texts."""
_MOST_TOGETHER = 256
_TOGETHER_S = 0.2
"""How long a span waits for others to travel with."""
_EXPORT_TIMEOUT_S = 5.0
_LAST_S = 0.5
"""For the thread to end, once the exporter was told not to try again."""
_SAMPLED = 1
_KNOWN_FLAGS = 3
"""Sampled, and "the trace id is random"; others mean something in a later version only."""


class TracingUnavailableError(Exception):
    """Traces are configured, but what sends them is not installed; the message names the command."""


@dataclass(frozen=True, slots=True)
class Span:
    """A sampled exchange that is under way."""

    trace_id: int
    span_id: int
    parent_id: int
    """0 if the trace begins here."""
    flags: int
    state: str
    """The caller's `tracestate`."""
    started_ns: int
    """Wall-clock time in nanoseconds since the epoch."""
    has_remote_parent: bool = False
    """Whether the parent is a span of the caller, not one of ours."""

    @property
    def traceparent(self) -> str:
        """What the backend gets, so that its spans are children of this one."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"

    def carried_in(self, headers: BackendHeaders) -> BackendHeaders:
        """Return the headers for a backend with the span in them."""
        if not self.parent_id:
            # It belonged to a `traceparent` that was none.
            headers = [header for header in headers if header[0] != b"tracestate"]
        return replaced(headers, b"traceparent", self.traceparent.encode())

    def child(self) -> Span:
        """Return a span of the same trace below this one: of a mirrored request."""
        return Span(self.trace_id, _new_id(64), self.span_id, self.flags, self.state, time.time_ns())


class Tracer:
    """Samples, and hands spans to the thread that sends them.

    Args:
        settings: Where to send them, and how many.

    Raises:
        TracingUnavailableError: The extra is not installed.
    """

    def __init__(self, settings: Tracing) -> None:
        self._share = settings.sample_percent / 100
        self._exporting = _Exporting(settings.endpoint)

    def __repr__(self) -> str:
        return f"<Tracer [{self.dropped} dropped]>"

    @property
    def dropped(self) -> int:
        """Spans that were not delivered."""
        return self._exporting.dropped

    def start(self) -> None:
        """Start the thread that sends."""
        self._exporting.start()

    def close(self, grace_s: float = 2.0) -> None:
        """Send what is waiting within about the grace time; blocks so long, so not for the loop's thread."""
        self._exporting.close(grace_s)

    def begin(self, headers: Mapping[bytes, bytes]) -> Span | None:
        """Return the span of a request if it is sampled: as its caller decided, else by the configured share.

        Args:
            headers: The client's, names in lower case.
        """
        parent = headers.get(b"traceparent")
        if parent is not None and (known := parse_traceparent(parent)) is not None:
            trace_id, parent_id, flags = known
            if not flags & _SAMPLED:
                return None
            state = headers.get(b"tracestate", b"").decode("latin-1")
            return Span(trace_id, _new_id(64), parent_id, flags, state, time.time_ns(), has_remote_parent=True)
        if _random.random() >= self._share:
            return None
        return Span(_new_id(128), _new_id(64), 0, _SAMPLED, "", time.time_ns())

    def end(self, span: Span, exchange: Exchange) -> None:
        """Send a span, with what became of its exchange; never raises, never waits."""
        self._exporting.put(_Ended(span, exchange, time.time_ns()))


def parse_traceparent(value: bytes) -> tuple[int, int, int] | None:
    """Return trace id, parent id and flags of a `traceparent` (W3C trace context, level 1), or None if it is none.

    >>> parse_traceparent(b"00-0000000000000000000000000000000a-000000000000000b-01")
    (10, 11, 1)
    """
    parts = value.split(b"-")
    known = len(parts) == 4 or (len(parts) > 4 and parts[0] != b"00")
    if not known or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == b"ff":
        return None
    if any(part.strip(b"0123456789abcdef") for part in parts[:4]):
        return None
    trace_id, parent_id, flags = (int(part, 16) for part in parts[1:4])
    return (trace_id, parent_id, flags & _KNOWN_FLAGS) if trace_id and parent_id else None


def _new_id(bits: int) -> int:
    """Return a random id; 0 is none."""
    return _random.getrandbits(bits) or 1


@dataclass(frozen=True, slots=True)
class _Ended:
    span: Span
    exchange: Exchange
    ended_ns: int

    @property
    def characters(self) -> int:
        return len(self.exchange.request_text) + len(self.exchange.response_text)


class _Exporting:
    """The thread that sends."""

    def __init__(self, endpoint: str) -> None:
        self._build = _Builder()
        self._exporter = _exporter(endpoint)
        self._waiting: queue.Queue[_Ended | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._failing = False
        self._closing = threading.Event()
        # Each is written by one thread only, so neither needs a lock.
        self._put_characters = self._taken_characters = 0
        self._refused = self._lost = 0

    @property
    def dropped(self) -> int:
        return self._refused + self._lost

    def start(self) -> None:
        self._thread.start()

    def put(self, ended: _Ended) -> None:
        waiting = self._put_characters + ended.characters - self._taken_characters
        # One long exchange alone may pass: else a large `capture_bytes` would mean no spans at all.
        if waiting > _MOST_WAITING_CHARACTERS and not self._waiting.empty():
            self._refused += 1
            return
        try:
            self._waiting.put_nowait(ended)
        except queue.Full:
            self._refused += 1
        else:
            self._put_characters += ended.characters

    def close(self, grace_s: float) -> None:
        self._closing.set()
        with suppress(queue.Full):  # then it finds the event between two batches
            self._waiting.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(grace_s)
        # Interrupts its wait for another try; whatever is left, the thread then counts as lost.
        self._exporter.shutdown()
        if self._thread.is_alive():
            self._thread.join(_LAST_S)

    def _run(self) -> None:
        while True:
            batch = self._batch()
            spans = [span for ended in batch if ended is not None for span in self._built(ended)]
            if spans:
                self._send(spans)
            self._taken_characters += sum(ended.characters for ended in batch if ended is not None)
            if None in batch or (self._closing.is_set() and self._waiting.empty()):
                return

    def _batch(self) -> list[_Ended | None]:
        """Wait for a span; take with it what else is there."""
        batch = [self._waiting.get()]
        self._closing.wait(_TOGETHER_S)
        while len(batch) < _MOST_TOGETHER and batch[-1] is not None:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _built(self, ended: _Ended) -> list[ReadableSpan]:
        try:
            return [self._build(ended)]
        except Exception as error:  # noqa: BLE001  # whatever a body is, the other spans are sent
            self._lost += 1
            _log.error("span_not_built", exchange=ended.exchange.id, error=type(error).__name__)
            return []

    def _send(self, spans: list[ReadableSpan]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

        try:
            delivered = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001  # whatever the collector does, traffic goes on
            delivered = False
        if not delivered:
            self._lost += len(spans)
        if delivered == self._failing:
            self._failing = not delivered
            _log.warning("spans_delivered_again" if delivered else "spans_not_delivered", dropped=self.dropped)


def _exporter(endpoint: str) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    except ImportError as error:
        raise TracingUnavailableError(_MISSING) from error
    return OTLPSpanExporter(endpoint, timeout=_EXPORT_TIMEOUT_S)


_MISSING = "[router.tracing] needs OpenTelemetry: pip install 'touchstone-router[otel]'"


class _Builder:
    """Turns what ended into the SDK's spans."""

    def __init__(self) -> None:
        try:
            from opentelemetry import trace  # noqa: PLC0415
            from opentelemetry.sdk import trace as sdk  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        except ImportError as error:
            raise TracingUnavailableError(_MISSING) from error
        self._trace, self._sdk = trace, sdk
        # `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` of the environment add to it.
        self._resource = Resource.create({SERVICE_NAME: "touchstone"})
        self._scope = InstrumentationScope("touchstone")

    def __call__(self, ended: _Ended) -> ReadableSpan:
        trace, span = self._trace, ended.span
        described = describe(ended.exchange)
        failed = bool(ended.exchange.error)
        return self._sdk.ReadableSpan(
            described.name,
            context=self._context(span, span.span_id, is_remote=False),
            parent=self._parent(span),
            resource=self._resource,
            attributes=described.attributes,
            kind=trace.SpanKind.CLIENT,
            status=trace.Status(trace.StatusCode.ERROR if failed else trace.StatusCode.UNSET),
            start_time=span.started_ns,
            end_time=max(ended.ended_ns, span.started_ns),
            instrumentation_scope=self._scope,
        )

    def _parent(self, span: Span) -> trace_api.SpanContext | None:
        return self._context(span, span.parent_id, is_remote=span.has_remote_parent) if span.parent_id else None

    def _context(self, span: Span, span_id: int, *, is_remote: bool) -> trace_api.SpanContext:
        trace = self._trace
        state = trace.TraceState.from_header([span.state]) if span.state else None
        context: trace_api.SpanContext = trace.SpanContext(
            span.trace_id, span_id, is_remote, trace.TraceFlags(span.flags), state
        )
        return context
