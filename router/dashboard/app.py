"""The pages, put together: which there are, what each reads, and what it shows when that cannot be read."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from experiments.config.records import Config
from experiments.pairs.reader import PairReader
from experiments.showing.reader import Showing
from experiments.showing.summary import summarise
from experiments.store import Store
from experiments.telling.incidents import open_now
from router.admin.auth import LOGIN_PATH, LOGOUT_PATH, STATIC_PATH, JsonOnly
from router.admin.metrics import Exposition
from router.admin.sessions import Sessions
from router.dashboard.experiment import experiment_page
from router.dashboard.files import static_file
from router.dashboard.health import backends_health, proxies, proxies_health
from router.dashboard.login import Login
from router.dashboard.pairs import pairs_page
from router.dashboard.rendering import Pages
from router.dashboard.replay import replay_page
from router.processes.reload_status import read_refused
from router.telemetry.metrics_files import published as published_in

_log = structlog.get_logger(__name__)
Values = dict[str, Any]
_AUDIT_ENTRIES = 200


class Dashboard:
    """The pages.

    Args:
        config: What is configured; nothing else exists here.
        store: Read in a thread, and never by a query that grows with the traffic.
        exposition: What the proxies publish.
        sessions: Of browsers; None where no token is asked for.
    """

    def __init__(self, config: Config, store: Store, exposition: Exposition, sessions: Sessions | None = None) -> None:
        self._config = config
        self._store = store
        self._exposition = exposition
        self._showing = Showing(store, config)
        self._pairs = PairReader(store.engine)
        self._pages = Pages(has_login=sessions is not None)
        self._login = Login(self._pages, sessions)

    def routes(self) -> list[Route]:
        """Return all routes of people; those of programs are in `router.admin.app`."""
        pages: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
            ("/", self._page("overview.html", self._overview)),
            ("/experiments/{name}", self._page("experiment.html", self._experiment)),
            ("/experiments/{name}/pairs", self._page("pairs.html", self._read_pairs)),
            ("/experiments/{name}/replay", self._page("replay.html", self._replay)),
            ("/backends", self._page("backends.html", self._backends)),
            ("/incidents", self._page("incidents.html", self._incidents)),
            ("/audit", self._page("audit.html", self._audit)),
        ]
        return [
            *(Route(path, page) for path, page in pages),
            Route(STATIC_PATH + "{name}", static_file),
            Route(LOGIN_PATH, self._login.enter, methods=["GET", "POST"], middleware=[Middleware(JsonOnly)]),
            Route(LOGOUT_PATH, self._login.leave, methods=["POST"], middleware=[Middleware(JsonOnly)]),
        ]

    def _page(self, template: str, read: Callable[[Request], Values]) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a page. A store that is away is a page too: the one who looks is told."""

        async def page(request: Request) -> Response:
            try:
                values = await run_in_threadpool(read, request)
            except SQLAlchemyError as error:
                _log.warning("page_without_store", page=template, reason=type(error).__name__)
                return self.trouble(HTTPStatus.SERVICE_UNAVAILABLE, "the store cannot be read right now")
            return self._pages.render(template, {"current": request.url.path, **values})

        return page

    def trouble(self, status: int, detail: str) -> Response:
        """Return the page that says what is wrong."""
        return self._pages.render("trouble.html", {"status": status, "detail": detail}, status)

    # --- what each page reads -----------------------------------------------------------------------------------------

    def _overview(self, _: Request) -> Values:
        published = self._exposition.of_proxies()
        refused = read_refused(Path(self._config.router.journal))
        return {
            "experiments": [(summarise(found), found.experiment.ramp) for found in self._showing.standings()],
            "incidents": self._showing.incidents(time.time()),
            "refused": refused.says() if refused else "",
            "backends": backends_health(self._config.backends, self._store.drains(), published),
            "proxies": proxies(published),
            "config_path": self._config.path,
        }

    def _experiment(self, request: Request) -> Values:
        return {"current": "/", **experiment_page(self._showing, self._known(request))}

    def _read_pairs(self, request: Request) -> Values:
        standing = self._showing.standing(self._known(request))
        return {"current": "/", **pairs_page(self._pairs, standing, request.query_params)}

    def _replay(self, request: Request) -> Values:
        standing = self._showing.standing(self._known(request))
        return {"current": "/", **replay_page(self._store, standing)}

    def _known(self, request: Request) -> str:
        name = str(request.path_params["name"])
        if name not in self._config.experiments:
            raise HTTPException(404, f"no experiment is named {name!r}")
        return name

    def _backends(self, _: Request) -> Values:
        published = self._exposition.of_proxies()
        found = backends_health(self._config.backends, self._store.drains(), published)
        processes = proxies_health(published_in(Path(self._config.router.journal)))
        return {"backends": found, "proxies": proxies(published), "processes": processes}

    def _incidents(self, _: Request) -> Values:
        return {"incidents": open_now(self._store, self._config, time.time())}

    def _audit(self, request: Request) -> Values:
        name = request.query_params.get("experiment")
        if name is not None and name not in self._config.experiments:
            raise HTTPException(404, f"no experiment is named {name!r}")
        chosen = [name] if name else list(self._config.experiments)
        found = [transition for one in chosen for transition in self._store.transitions(one)]
        newest = sorted(found, key=lambda transition: transition.at, reverse=True)[:_AUDIT_ENTRIES]
        return {"entries": newest, "experiment": name, "names": list(self._config.experiments), "shown": _AUDIT_ENTRIES}
