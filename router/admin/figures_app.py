"""The figures of one host's proxies for Prometheus, where no controller runs that would serve them."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from experiments.config import Config
from router.admin.metrics import Exposition, metrics_endpoint


def build_figures(config: Config) -> Starlette:
    """Return an app with `/metrics` and `/healthz`.

    There is no token to be shown, and nothing of what users write: figures, and the names of experiments and backends.
    """

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    exposition = Exposition(Path(config.router.journal))
    return Starlette(
        routes=[Route("/metrics", metrics_endpoint(exposition)), Route("/healthz", healthz)],
    )
