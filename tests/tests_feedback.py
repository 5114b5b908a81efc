"""A feedback endpoint on a real port, with a real journal: a fixture of several files."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from tests_config import make_config

from experiments.config.records import Guardrail, Monitor
from experiments.config.serving import FeedbackSettings
from experiments.journal.format import Entry, read_segment
from experiments.model import Feedback
from experiments.model import Route as ExperimentRoute
from router.fakes.server import serving
from router.feedback import FeedbackEndpoint, Lookup
from router.journal import Journal
from router.routes import RouteTable

OLD = "01890a5d-ac96-774b-bcce-b302099a8057"
"""An exchange of 2023."""


class Endpoint:
    """A feedback endpoint on a real port, with a real journal."""

    def __init__(self, url: str, folder: Path, journal: Journal) -> None:
        self.journal = journal
        self.host = url.removeprefix("http://")
        self._folder = folder

    def post(self, body: Any, *, chunked: bool = False, path: str = "/", **headers: str) -> tuple[int, dict[str, Any]]:
        """Post a body, as JSON unless it is bytes; return status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, timeout=5)
        try:
            connection.request("POST", path, iter([data]) if chunked else data, headers, encode_chunked=chunked)
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.headers["content-type"] == (
                "application/json" if response.status < 400 else "application/problem+json"
            )
            return response.status, answer
        finally:
            connection.close()

    def recorded(self) -> list[Feedback]:
        entries = [entry for path in sorted(self._folder.glob("*.journal")) for entry in read_segment(path)]
        return [e.record for e in entries if isinstance(e, Entry) and isinstance(e.record, Feedback)]


@pytest.fixture(name="endpoint")
def _endpoint(tmp_path: Path) -> Iterator[Callable[..., Endpoint]]:
    with ExitStack() as stack:

        def start(
            lookup: Lookup = {OLD: "support"}.get,
            *,
            settings: dict[str, Any] | None = None,
            routes: tuple[ExperimentRoute, ...] = (),
            **limits: int,
        ) -> Endpoint:
            config = make_config(
                tmp_path / "journal",
                "http://a",
                "http://b",
                settings={"feedback": FeedbackSettings(per_minute=10_000)} | (settings or {}),
                guardrails=(
                    Guardrail(name="errors", max_relative=1.2, margin=0.01),
                    Guardrail(name="complaint", feedback=True, max_relative=1.5),
                ),
                monitors=(
                    Monitor(name="thumbs_up", feedback=True),
                    Monitor(name="same", scorer="agreement"),
                    Monitor(name="right", scorer="exact"),
                ),
            )
            journal = Journal(tmp_path / "journal", **limits)
            stack.callback(journal.close)
            journal.start()
            taking = FeedbackEndpoint(config, journal, lookup, RouteTable(config, routes).member)
            app = Starlette(
                routes=[
                    Route("/", taking.__call__, methods=["POST"]),
                    Route("/batch", taking.batch, methods=["POST"]),
                ]
            )
            return Endpoint(stack.enter_context(serving(app)), tmp_path / "journal", journal)

        yield start


def thumb(**changes: Any) -> dict[str, Any]:
    return {"exchange": OLD, "metric": "thumbs_up", "value": True} | changes
