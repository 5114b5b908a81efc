"""`/api/v1/backends`: which there are, and draining them by hand or from a termination hook."""

from __future__ import annotations

import time
from functools import partial

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from experiments.config.records import Config
from experiments.config.serving import Backend
from experiments.drains import DrainStore
from experiments.model import Drain
from experiments.store import Store
from router.admin.orders import Line, read_order

_log = structlog.get_logger(__name__)


class DrainOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be drained, and why."""

    reason: Line
    endpoint: Line | None = None
    """One of the backend's URLs; all of them unless given."""


class BackendView(msgspec.Struct, frozen=True):
    """A backend as the admin API shows it: nothing that is secret."""

    name: str
    urls: list[str]
    protocol: str
    drains: list[Drain]


class Backends:
    """The endpoints.

    Args:
        config: Which backends there are.
        store: Keeps what is drained; the proxies read it there.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._backends = config.backends
        self._store = store
        self._drains = DrainStore(store.engine)

    async def all(self, _: Request) -> Response:
        """List the backends with what is drained of them."""
        drains = await run_in_threadpool(self._store.drains)
        views = [
            BackendView(name, list(backend.urls), backend.protocol, [d for d in drains if d.backend == name])
            for name, backend in self._backends.items()
        ]
        return Response(msgspec.json.encode(views), media_type="application/json")

    async def change(self, request: Request) -> Response:
        """Drain (POST) or lift (DELETE)."""
        return await (self._drain(request) if request.method == "POST" else self._lift(request))

    async def _drain(self, request: Request) -> Response:
        """Let a backend, or one endpoint of it, get no new requests."""
        backend = self._named(request)
        order = await read_order(request, DrainOrder)
        drain = Drain(
            backend=backend.name,
            endpoint=_endpoint(backend, order.endpoint),
            since=time.time(),
            actor=request.scope["actor"],
            reason=order.reason,
        )
        await run_in_threadpool(self._drains.put, drain)
        _log.warning("backend_drained", backend=drain.backend, endpoint=drain.endpoint, actor=drain.actor)
        return Response(msgspec.json.encode(drain), media_type="application/json")

    async def _lift(self, request: Request) -> Response:
        """Let a backend, or one endpoint of it, have requests again; no error if it had them."""
        backend = self._named(request)
        endpoint = _endpoint(backend, request.query_params.get("endpoint"))
        actor = request.scope["actor"]
        await run_in_threadpool(partial(self._drains.lift, backend.name, endpoint, at=time.time(), actor=actor))
        _log.warning("backend_drain_lifted", backend=backend.name, endpoint=endpoint, actor=actor)
        return Response(status_code=204)

    def _named(self, request: Request) -> Backend:
        name = request.path_params["name"]
        if name not in self._backends:
            raise HTTPException(404, f"no backend is named {name!r}")
        return self._backends[name]


def _endpoint(backend: Backend, asked: str | None) -> str:
    """Return the endpoint as it stands in the configuration; empty for all."""
    if asked is None:
        return ""
    for url in backend.urls:
        if url.rstrip("/") == asked.rstrip("/"):
            return url
    raise HTTPException(404, f"{asked!r} is no endpoint of {backend.name}; its endpoints: {', '.join(backend.urls)}")
