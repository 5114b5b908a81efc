"""Starlette app of the admin port: health, and read-only experiment resources. Errors are RFC 9457 problem details."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

import msgspec
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from experiments.config import Config
from experiments.store import Store
from router import views
from router.errors import problem
from router.workers import bind

Endpoint = Callable[[Request], Awaitable[Response]]


def build_admin(config: Config, store: Store) -> Starlette:
    """Build the admin app.

    Args:
        config: What is configured; an experiment that is not in it does not exist here.
        store: Read in a thread, so that a slow database never blocks the health check.
    """

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        await run_in_threadpool(store.route_states)
        return Response("ready\n", media_type="text/plain")

    def resource(read: Callable[[str], Any]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            name = request.path_params["name"]
            if name not in config.experiments:
                raise HTTPException(404, f"no experiment is named {name!r}")
            return _json(await run_in_threadpool(read, name))

        return endpoint

    async def experiments(_: Request) -> Response:
        return _json((await run_in_threadpool(views.status, store, config)).data)

    def evidence(name: str) -> Any:
        state = store.route_states().get(name)
        look = store.latest_look(name, state.route.epoch) if state else None
        return look.evidence if look else None

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/api/v1/experiments", experiments),
            Route("/api/v1/experiments/{name}", resource(lambda name: views.explain(store, config, name).data)),
            Route("/api/v1/experiments/{name}/evidence", resource(evidence)),
            Route("/api/v1/experiments/{name}/decisions", resource(store.transitions)),
        ],
        exception_handlers={HTTPException: _refused, SQLAlchemyError: _store_away},
    )


def _json(data: Any) -> Response:
    return Response(msgspec.json.encode(data), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    return problem(error.status_code, error.detail)


async def _store_away(_: Request, error: Exception) -> Response:
    return problem(503, f"the store cannot be read: {type(error).__name__}")


class AdminServer:
    """Serves the admin app from a thread, for as long as the `with` block lasts."""

    def __init__(self, config: Config, store: Store) -> None:
        self._socket = bind(config.router.admin)
        settings = uvicorn.Config(build_admin(config, store), log_config=None, access_log=False, ws="none")
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="admin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
