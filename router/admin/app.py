"""The admin port: an API for programs, with RFC 9457 problem details, and the pages of the dashboard for people."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
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
from experiments.journal.recorders import Recorders, troubles
from experiments.operating import Command
from experiments.showing.reader import Showing
from experiments.showing.summary import summarise
from experiments.store import Store
from router import views
from router.admin import openapi
from router.admin.auth import OPEN_PATH, Gate, JsonOnly, wants_page
from router.admin.backends import Backends
from router.admin.events import Events
from router.admin.experiments import Commands
from router.admin.incidents import Incidents
from router.admin.metrics import Exposition, exposition_of, metrics_endpoint
from router.admin.ofrep import ofrep_routes
from router.admin.pairs import Pairs
from router.admin.sessions import Sessions
from router.admin.thread_server import ThreadServer
from router.admin.tokens import TokenFile
from router.dashboard.app import Dashboard
from router.errors import problem
from router.processes.reload_status import read_refused

Endpoint = Callable[[Request], Awaitable[Response]]
_Served = tuple[str, Endpoint, list[str]]
"""Path, endpoint, methods."""


def build_admin(config: Config, store: Store) -> ASGIApp:
    """Build the admin app, behind its gate.

    Args:
        config: What is configured; an experiment or backend that is not in it does not exist here.
        store: Read in a thread, so that a slow database never blocks the health check.
    """
    tokens = TokenFile(config.router.admin_tokens) if config.router.admin_tokens is not None else None
    sessions = Sessions(tokens) if tokens is not None else None
    exposition = exposition_of(config, store)
    dashboard = Dashboard(config, store, exposition, sessions)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
        if wants_page(request.scope):
            return dashboard.trouble(error.status_code, error.detail)
        response = problem(error.status_code, error.detail)
        response.headers.update(error.headers or {})
        return response

    app = Starlette(
        # OFREP has a description of its own: it is no part of ours.
        routes=[*routes(config, store, exposition), *ofrep_routes(config, store), *dashboard.routes()],
        exception_handlers={HTTPException: refused, SQLAlchemyError: _store_away, Exception: _broken},
    )
    # A redirect would lead to wherever the Host header says.
    app.router.redirect_slashes = False
    return Gate(app, config.router.admin, tokens, sessions)


def routes(config: Config, store: Store, exposition: Exposition | None = None) -> list[Route]:
    """Return all routes of programs; each is described in `router.admin.openapi`."""
    backends, incidents = Backends(config, store), Incidents(config, store)
    found: list[_Served] = [
        *_of_the_process(config, store, exposition or exposition_of(config, store)),
        *_of_experiments(config, store),
        ("/api/v1/incidents", incidents.all, ["GET"]),
        # Keys have slashes in them.
        ("/api/v1/incidents/{key:path}/acknowledge", incidents.acknowledge, ["POST"]),
        ("/api/v1/audit", incidents.audit, ["GET"]),
        ("/api/v1/events", Events(config, store).listen, ["GET"]),
        ("/api/v1/backends", backends.all, ["GET"]),
        ("/api/v1/backends/{name}/drain", backends.change, ["POST", "DELETE"]),
    ]
    return [
        Route(path, endpoint, methods=methods, middleware=[Middleware(JsonOnly)]) for path, endpoint, methods in found
    ]


def _of_the_process(config: Config, store: Store, exposition: Exposition) -> list[_Served]:
    journal = Path(config.router.journal)

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        await run_in_threadpool(store.route_states)
        notes = await run_in_threadpool(_notes, journal, store)
        return Response("".join(f"{line}\n" for line in ("ready", *notes)), media_type="text/plain")

    async def configuration(_: Request) -> Response:
        refused = await run_in_threadpool(read_refused, journal)
        return _json(openapi.ConfigView(str(config.path), refused))

    async def described(_: Request) -> Response:
        return _json(openapi.document(config))

    return [
        (OPEN_PATH, healthz, ["GET"]),
        ("/readyz", readyz, ["GET"]),
        ("/metrics", metrics_endpoint(exposition), ["GET"]),
        ("/openapi.json", described, ["GET"]),
        ("/api/v1/config", configuration, ["GET"]),
    ]


def _of_experiments(config: Config, store: Store) -> list[_Served]:
    commands, showing = Commands(config, store), Showing(store, config)

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

    one = "/api/v1/experiments/{name}"
    return [
        ("/api/v1/experiments", experiments, ["GET"]),
        (one, resource(lambda name: views.explain(store, config, name).data), ["GET"]),
        (f"{one}/summary", resource(lambda name: summarise(showing.standing(name))), ["GET"]),
        (f"{one}/evidence", resource(evidence), ["GET"]),
        (f"{one}/slices", resource(lambda name: summarise(showing.standing(name)).slices), ["GET"]),
        (f"{one}/pairs", Pairs(config, store).page, ["GET"]),
        (f"{one}/decisions", resource(store.transitions), ["GET"]),
        *((f"{one}/{command}", commands.named(command), ["POST"]) for command in Command),
    ]


def _notes(journal: Path, store: Store) -> list[str]:
    """Say what is wrong though everything is served: the old configuration serves, and traffic is never shed."""
    refused = read_refused(journal)
    recorded = Recorders(store.engine).all()
    return [*([refused.says()] if refused else []), *troubles(recorded, time.time())]


def _json(data: Any) -> Response:
    return Response(msgspec.json.encode(data), media_type="application/json")


async def _store_away(_: Request, error: Exception) -> Response:
    return problem(503, f"the store cannot be read: {type(error).__name__}")


async def _broken(_: Request, __: Exception) -> Response:
    """Answer for a fault of our own; the server logs it, and the client learns nothing of it."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a fault of Touchstone; its log says more")


def admin_server(config: Config, store: Store) -> ThreadServer:
    """Return what serves the admin app.

    Raises:
        ListenError: The port is taken, or the certificate cannot be used.
    """
    return ThreadServer(build_admin(config, store), config.router.admin, config.router.admin_tls)
