"""The admin port: health, experiments to read, backends to drain. Errors are RFC 9457 problem details."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import msgspec
import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from experiments.config import Config
from experiments.journal_status import ShedWatch
from experiments.operating import Command
from experiments.store import Store
from router import views
from router.admin import openapi
from router.admin.auth import OPEN_PATH, Gate, JsonOnly
from router.admin.backends import Backends
from router.admin.experiments import Commands
from router.admin.incidents import Incidents
from router.admin.metrics import metrics_endpoint
from router.admin.tokens import TokenFile
from router.errors import problem
from router.processes.reload_status import read_refused
from router.processes.workers import ListenError, bind, load_tls

Endpoint = Callable[[Request], Awaitable[Response]]


def build_admin(config: Config, store: Store) -> ASGIApp:
    """Build the admin app, behind its gate.

    Args:
        config: What is configured; an experiment or backend that is not in it does not exist here.
        store: Read in a thread, so that a slow database never blocks the health check.
    """
    app = Starlette(
        routes=routes(config, store),
        exception_handlers={HTTPException: _refused, SQLAlchemyError: _store_away, Exception: _broken},
    )
    # A redirect would lead to wherever the Host header says.
    app.router.redirect_slashes = False
    tokens = config.router.admin_tokens
    return Gate(app, config.router.admin, TokenFile(tokens) if tokens is not None else None)


def routes(config: Config, store: Store) -> list[Route]:
    """Return all routes; each is described in `router.admin.openapi`."""
    backends, commands, incidents = Backends(config, store), Commands(config, store), Incidents(config, store)
    journal = Path(config.router.journal)

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        await run_in_threadpool(store.route_states)
        notes = await run_in_threadpool(_notes, journal)
        return Response("".join(f"{line}\n" for line in ("ready", *notes)), media_type="text/plain")

    async def configuration(_: Request) -> Response:
        refused = await run_in_threadpool(read_refused, journal)
        return _json(openapi.ConfigView(str(config.path), refused))

    async def described(_: Request) -> Response:
        return _json(openapi.document(config))

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

    found: list[tuple[str, Endpoint, list[str]]] = [
        (OPEN_PATH, healthz, ["GET"]),
        ("/readyz", readyz, ["GET"]),
        ("/metrics", metrics_endpoint(config), ["GET"]),
        ("/openapi.json", described, ["GET"]),
        ("/api/v1/config", configuration, ["GET"]),
        ("/api/v1/experiments", experiments, ["GET"]),
        ("/api/v1/experiments/{name}", resource(lambda name: views.explain(store, config, name).data), ["GET"]),
        ("/api/v1/experiments/{name}/evidence", resource(evidence), ["GET"]),
        ("/api/v1/experiments/{name}/decisions", resource(store.transitions), ["GET"]),
        *((f"/api/v1/experiments/{{name}}/{command}", commands.named(command), ["POST"]) for command in Command),
        ("/api/v1/incidents", incidents.all, ["GET"]),
        # Keys have slashes in them.
        ("/api/v1/incidents/{key:path}/acknowledge", incidents.acknowledge, ["POST"]),
        ("/api/v1/audit", incidents.audit, ["GET"]),
        ("/api/v1/backends", backends.all, ["GET"]),
        ("/api/v1/backends/{name}/drain", backends.change, ["POST", "DELETE"]),
    ]
    return [
        Route(path, endpoint, methods=methods, middleware=[Middleware(JsonOnly)]) for path, endpoint, methods in found
    ]


def _notes(journal: Path) -> list[str]:
    """Say what is wrong though everything is served: the old configuration serves, and traffic is never shed."""
    refused = read_refused(journal)
    notes = [refused.says()] if refused else []
    if ShedWatch(journal).read().now:
        notes.append("recording is shed by a proxy, and experiments are held: the proxy's own readiness says why")
    return notes


def _json(data: Any) -> Response:
    return Response(msgspec.json.encode(data), media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    response = problem(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def _store_away(_: Request, error: Exception) -> Response:
    return problem(503, f"the store cannot be read: {type(error).__name__}")


async def _broken(_: Request, __: Exception) -> Response:
    """Answer for a fault of our own; the server logs it, and the client learns nothing of it."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of Touchstone; its log says more")


class AdminServer:
    """Serves the admin app from a thread, for as long as the `with` block lasts.

    Raises:
        ListenError: The port is taken, or the certificate cannot be used.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._socket = bind(config.router.admin)
        tls = config.router.admin_tls
        settings = uvicorn.Config(
            build_admin(config, store),
            interface="asgi3",
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        try:
            load_tls(settings, config.router.admin)  # here, and not in the thread, where nobody would hear of it
        except ListenError:
            self._socket.close()
            raise
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="admin", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._socket.close()
