"""Composition root of the data plane: a configuration in, an ASGI application out. Nothing else wires.

Model paths bypass Starlette's router and middleware: the proxy is plain ASGI, and what Starlette would add there (two
middlewares, a scope copy, a regular expression) costs more than the assignment itself. Our own API under
`/_touchstone/` and the lifespan are an ordinary Starlette app.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from experiments.config.records import Config
from experiments.model import Route
from router.errors import problem
from router.feedback import FeedbackEndpoint, Lookup
from router.journal import Journal
from router.proxy import Proxy
from router.routes import RouteWatcher
from router.shadow import ShadowPool
from router.upstream import Transports, Upstream

_OWN = "/_touchstone/"


class DataPlane:
    """The application of one proxy process.

    Args:
        config: What to run.
        load_routes: Reads the route rows of the store; may raise.
        lookup_exchange: Exchange id -> experiment, from the store; may raise.

    Raises:
        OSError: The journal's folder cannot be made.
    """

    def __init__(self, config: Config, load_routes: Callable[[], Sequence[Route]], lookup_exchange: Lookup) -> None:
        self._config = config
        self.journal = Journal(Path(config.router.journal), config.router.journal_fsync)
        self.watcher = RouteWatcher(config, load_routes)
        self.shadows = ShadowPool(self.journal, config.router.mirror_concurrency, config.router.capture_bytes)
        self._api = self._build_api(FeedbackEndpoint(config, self.journal, lookup_exchange))
        self._proxy: ASGIApp | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Dispatch between our own API and the model paths.

        Not a coroutine itself: a stream wakes every coroutine between the server and its source, for every piece.
        """
        if scope["type"] == "http" and self._proxy is not None and not scope["path"].startswith(_OWN):
            return self._proxy(scope, receive, send)
        return self._api(scope, receive, send)

    def _build_api(self, feedback: FeedbackEndpoint) -> Starlette:
        async def healthz(_: Request) -> Response:
            return Response("ok\n", media_type="text/plain")

        async def readyz(_: Request) -> Response:
            missing = self.not_ready()
            return problem(503, "; ".join(missing)) if missing else Response("ready\n", media_type="text/plain")

        return Starlette(
            routes=[
                HttpRoute(f"{_OWN}v1/feedback", feedback.__call__, methods=["POST"]),
                HttpRoute(f"{_OWN}healthz", healthz),
                HttpRoute(f"{_OWN}readyz", readyz),
            ],
            exception_handlers={HTTPException: _refused},
            lifespan=self._lifespan,
        )

    def not_ready(self) -> list[str]:
        """Say what is missing for full service; traffic is served all the same."""
        missing = []
        if not self.watcher.loaded:
            missing.append("the routes were never read from the store: control serves everyone")
        if self.journal.shedding:
            missing.append(f"recording is shed: {self.journal.shedding}")
        return missing

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        settings = self._config.router
        transports = Transports(settings)
        upstreams = {
            name: Upstream(backend, transports, settings.between_bytes_timeout_s)
            for name, backend in self._config.backends.items()
        }
        self.journal.start()
        self.watcher.start()
        self._proxy = Proxy(self._config, self.watcher, upstreams, self.journal, self.shadows)
        sweeping = asyncio.create_task(_sweep(list(upstreams.values()), settings.between_bytes_timeout_s))
        try:
            yield
        finally:
            sweeping.cancel()
            # The server has let the answers in flight end; mirrored ones get a moment of their own.
            await self.shadows.close(grace_s=min(2.0, settings.shutdown_grace_s))
            await transports.close()
            self.watcher.close()
            self.journal.close()


async def _sweep(upstreams: Sequence[Upstream], limit_s: float) -> None:
    """Look for stalled bodies, four times within the limit."""
    while True:
        await asyncio.sleep(min(1.0, limit_s / 4))
        for upstream in upstreams:
            upstream.sweep(time.monotonic())


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    return problem(error.status_code, error.detail)


def build_app(config: Config, *, load_routes: Callable[[], Sequence[Route]], lookup_exchange: Lookup) -> DataPlane:
    """Build the data plane's ASGI application."""
    return DataPlane(config, load_routes, lookup_exchange)
