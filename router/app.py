"""Composition root of the data plane: a configuration in, an ASGI application out. Nothing else wires.

Model paths bypass Starlette's router and middleware: the proxy is plain ASGI, and what Starlette would add there (two
middlewares, a scope copy, a regular expression) costs more than the assignment itself. Our own API under
`/_touchstone/` and the lifespan are an ordinary Starlette app.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from experiments.config.records import Config
from experiments.model import Drain, Exchange, Route
from experiments.privacy.keeping import Keeping
from router.direct.entry import Entry
from router.errors import problem
from router.exchange import sweep_late
from router.feedback import FeedbackEndpoint, Lookup, tokens_of
from router.front.probes import Probes
from router.journal import Journal
from router.processes.secrets import resolve
from router.proxy import Proxy
from router.routes import BoundRoute, RouteWatcher
from router.shadow import ShadowPool
from router.telemetry.metrics import Metrics
from router.telemetry.tracing import Span, Tracer
from router.telemetry.watched import watch_proxy, watch_upstreams
from router.upstream.health import HealthCheck
from router.upstream.notices import NoticePoll
from router.upstream.retry_budget import RetryBudget
from router.upstream.upstream import Transports, Upstream
from router.upstream.warmup import Warmer, read_all

_OWN = "/_touchstone/"
_STALE_ROUTES_S = 30.0
_ENDING = "this proxy ends: send it no more requests"


class DataPlane:
    """The application of one proxy process.

    Args:
        config: What to run.
        load_routes: Reads the route rows of the store; may raise.
        lookup_exchange: Exchange id -> experiment, from the store; may raise.
        load_drains: Reads from the store what is being drained; may raise.
        on_ready: Called once requests are served.
        refused_before: Requests that the server refuses before they come here, by reason.

    Raises:
        OSError: The journal's folder cannot be made.
        SecretError: A secret cannot be had.
        TracingUnavailableError: Traces are configured, and the extra is not installed.
        WarmupError: A file of warm-up requests cannot be used.
    """

    def __init__(
        self,
        config: Config,
        load_routes: Callable[[], Sequence[Route]],
        lookup_exchange: Lookup,
        load_drains: Callable[[], Sequence[Drain]],
        on_ready: Callable[[], None],
        refused_before: Mapping[str, int],
    ) -> None:
        self._config = config
        self._on_ready = on_ready
        self._refused_before = refused_before
        self._load_drains = load_drains
        self._upstreams: dict[str, Upstream] = {}
        self._api_keys = {
            name: resolve(backend.api_key, config.path.parent) if backend.api_key is not None else None
            for name, backend in config.backends.items()
        }
        self._warmup_requests = read_all(config.backends)
        self._tracer = Tracer(config.router.tracing) if config.router.tracing is not None else None
        self.journal = Journal(
            Path(config.router.journal),
            config.router.journal_fsync,
            limit_bytes=config.router.journal_limit_bytes,
            keep=Keeping(config),
        )
        self.metrics = Metrics(Path(config.router.journal))
        self.watcher = RouteWatcher(config, load_routes, also=self._apply_drains)
        self.shadows = ShadowPool(self._record, config.router.mirror_concurrency)
        self._tokens = tokens_of(config)
        self._feedback = FeedbackEndpoint(config, self.journal, lookup_exchange, self._member)
        self.probes = Probes()
        """Whoever asks for our health; the server says there that it ends."""
        self._api = self._build_api()
        self._proxy: ASGIApp | None = None
        self.direct_entry: Entry | None = None
        """The front door's short way in; there is one while requests are served."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Dispatch between our own API and the model paths.

        Not a coroutine itself: a stream wakes every coroutine between the server and its source, for every piece.
        """
        if scope["type"] == "http" and self._proxy is not None and not scope["path"].startswith(_OWN):
            return self._proxy(scope, receive, send)
        return self._api(scope, receive, send)

    def _build_api(self) -> Starlette:
        async def healthz(request: Request) -> Response:
            in_service = self._note_probe(request)
            return Response("ok\n", media_type="text/plain") if in_service else problem(503, _ENDING)

        async def readyz(request: Request) -> Response:
            self._note_probe(request)
            missing = self.not_ready()
            return problem(503, "; ".join(missing)) if missing else Response("ready\n", media_type="text/plain")

        return Starlette(
            routes=[
                HttpRoute(f"{_OWN}v1/feedback", self._feedback.__call__, methods=["POST"]),
                HttpRoute(f"{_OWN}v1/feedback/batch", self._feedback.batch, methods=["POST"]),
                HttpRoute(f"{_OWN}healthz", healthz),
                HttpRoute(f"{_OWN}readyz", readyz),
            ],
            exception_handlers={HTTPException: _refused},
            lifespan=self._lifespan,
        )

    def _note_probe(self, request: Request) -> bool:
        return self.probes.note(request.client.host if request.client else "", time.monotonic())

    def _record(self, exchange: Exchange, span: Span | None = None) -> None:
        self.journal.append(exchange)
        self.metrics.observe(exchange)
        if span is not None and self._tracer is not None:
            self._tracer.end(span, exchange)

    def _member(self, experiment: str, unit_id: str) -> BoundRoute | None:
        return self.watcher.table.member(experiment, unit_id)

    def _apply_drains(self) -> None:
        drains = self._load_drains()
        for name, upstream in self._upstreams.items():
            asked = {drain.endpoint.rstrip("/") for drain in drains if drain.backend == name}
            upstream.drain({e.url for e in upstream.endpoints} if "" in asked else asked)

    def not_ready(self) -> list[str]:
        """Say what is missing for full service; traffic is served all the same."""
        missing = [_ENDING] if self.probes.ending else []
        if not self.watcher.loaded:
            missing.append("the routes were never read from the store: control serves everyone")
        elif self.watcher.age_s > _STALE_ROUTES_S:
            age_s = self.watcher.age_s
            missing.append(f"the routes were last read {age_s:.0f} s ago: what was decided since is not known here")
        if self.journal.shedding:
            missing.append(f"recording is shed: {self.journal.shedding}")
        elif self.journal.shedding_texts:
            missing.append("texts are not recorded: the journal's folder is nearly full")
        return missing

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        settings = self._config.router
        transports = Transports(settings)
        self._upstreams = {
            name: Upstream(backend, transports, settings.between_bytes_timeout_s, self._api_keys[name])
            for name, backend in self._config.backends.items()
        }
        self.journal.start()
        self.watcher.start()
        budget = RetryBudget(settings.retry_budget_percent)
        proxy = Proxy(self._config, self.watcher, self._upstreams, self._record, self.shadows, budget, self._tracer)
        proxy.services.tokens = self._tokens
        self._publish(proxy)
        tasks = [asyncio.create_task(work) for work in self._background(proxy, transports)]
        tasks += await self._warm_up()
        self._proxy = proxy
        self.direct_entry = Entry(proxy, _OWN)
        self._on_ready()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for exchange in list(proxy.services.in_flight):
                exchange.cancel()
            # The server has let the answers in flight end; mirrored ones get a moment of their own.
            await self.shadows.close(grace_s=min(2.0, settings.shutdown_grace_s))
            await transports.close()
            await asyncio.to_thread(self._close)

    async def _warm_up(self) -> list[asyncio.Task[None]]:
        """Send the requests before traffic, to all backends at once; returns what keeps them warm from then on."""
        warmers = [
            Warmer(self._config.backends[name], requests, self._upstreams[name], self._record)
            for name, requests in self._warmup_requests.items()
        ]
        await asyncio.gather(*(warmer.before_traffic() for warmer in warmers))
        return [asyncio.create_task(warmer.keep_warm()) for warmer in warmers]

    def _close(self) -> None:
        """Close what may block."""
        self.watcher.close()
        if self._tracer is not None:
            self._tracer.close()
        self.metrics.close()
        self.journal.close()

    def _publish(self, proxy: Proxy) -> None:
        metrics, journal = self.metrics, self.journal
        watch_proxy(metrics, proxy, [self._refused_before, self._feedback.refused])
        watch_upstreams(metrics, self._upstreams.values())
        metrics.watch("touchstone_journal_records_total", lambda: journal.written)
        metrics.watch("touchstone_journal_shed_records_total", lambda: journal.shed)
        metrics.watch("touchstone_journal_shed_texts_total", lambda: journal.texts_shed)
        metrics.watch("touchstone_journal_shedding", lambda: bool(journal.shedding or journal.shedding_texts))
        metrics.watch("touchstone_journal_bytes", lambda: journal.used_bytes)
        metrics.watch("touchstone_routes_age_seconds", lambda: self.watcher.age_s)
        if (tracer := self._tracer) is not None:
            metrics.watch("touchstone_spans_dropped_total", lambda: tracer.dropped)
            tracer.start()
        metrics.start()

    def _background(self, proxy: Proxy, transports: Transports) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what runs beside the traffic until the end."""
        settings = self._config.router
        yield _sweep(list(self._upstreams.values()), settings.between_bytes_timeout_s)
        yield sweep_late(proxy.services.in_flight, settings.total_timeout_s)
        for name, backend in self._config.backends.items():
            upstream = self._upstreams[name]
            if backend.health is not None:
                for endpoint in upstream.endpoints:
                    yield HealthCheck(backend.health, endpoint).run()
            if backend.drain_notice_url is not None:
                url = backend.drain_notice_url
                yield NoticePoll(name, url, transports.of(url, backend.tls), upstream.note_termination).run()
            if backend.spot is not None:
                interval_s = backend.spot.notice_interval_s
                for one, url in zip(backend.spot.urls, backend.spot.notice_urls, strict=False):  # there may be none
                    tell = partial(upstream.note_termination_of, one)
                    yield NoticePoll(name, url, transports.of(url, backend.tls), tell, one).run(interval_s)


async def _sweep(upstreams: Sequence[Upstream], limit_s: float) -> None:
    """Look for stalled bodies, four times within the limit."""
    while True:
        await asyncio.sleep(min(1.0, limit_s / 4))
        for upstream in upstreams:
            upstream.sweep(time.monotonic())


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    return problem(error.status_code, error.detail)


def build_app(
    config: Config,
    *,
    load_routes: Callable[[], Sequence[Route]],
    lookup_exchange: Lookup,
    load_drains: Callable[[], Sequence[Drain]] = lambda: (),
    on_ready: Callable[[], None] = lambda: None,
    refused_before: Mapping[str, int] = MappingProxyType({}),
) -> DataPlane:
    """Build the data plane's ASGI application; see `DataPlane`."""
    return DataPlane(config, load_routes, lookup_exchange, load_drains, on_ready, refused_before)
