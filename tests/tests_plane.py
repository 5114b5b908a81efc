"""Two fake backends and a data plane in front of them, all on real loopback ports: a fixture of several folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests_config import make_config

from experiments.journal.format import Entry, read_segment
from experiments.model import Exchange, Feedback, Phase, Route
from router.app import DataPlane, build_app
from router.errors import UpstreamError
from router.fakes.backend import FakeBackend
from router.fakes.server import serving
from router.upstream.transports.http1 import Http1Transport


@dataclass
class Plane:
    """A running data plane, and what it stands between."""

    url: str
    app: DataPlane
    control: FakeBackend
    treatment: FakeBackend
    folder: Path
    stop: Callable[[], None]
    """Shut the data plane down, as SIGTERM would."""
    known: dict[str, str] = field(default_factory=dict)
    """Exchange id -> experiment, as the store would know it."""

    def records(self) -> list[Exchange | Feedback]:
        """Everything in the journal, in order."""
        segments = sorted(self.folder.glob("*.journal"))
        entries = [entry for path in segments for entry in read_segment(path)]
        return [entry.record for entry in entries if isinstance(entry, Entry)]

    def exchanges(self, count: int, role: str = "live", seconds: float = 5.0) -> list[Exchange]:
        """Wait until so many exchanges of a role are in the journal, and return them."""
        deadline = time.monotonic() + seconds
        while True:
            found = [r for r in self.records() if isinstance(r, Exchange) and r.role == role]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count, f"{len(found)} {role} exchanges, not {count}"
                return found
            time.sleep(0.02)


@pytest.fixture(name="plane", params=["direct", "http1", "aiohttp"])
def _plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Plane]]:
    """Start a data plane, over either transport, and on the short way or without it; `split` and `mirror` in percent.

    The short way needs a connection that is open already: there is one.

    `route` changes the rest of its route; other keywords change its experiment.
    """
    with ExitStack() as stack:

        def start(
            split: float = 50, mirror: float = 0, *, treatment_url: str = "", control_url: str = "", **changes: Any
        ) -> Plane:
            control, treatment = FakeBackend(), FakeBackend()
            urls = [stack.enter_context(serving(backend)) for backend in (control, treatment)]
            transport = "aiohttp" if request.param == "aiohttp" else "http1"
            settings = {"max_body_bytes": 2**20, "http_transport": transport, **changes.pop("settings", {})}
            changes["settings"] = settings
            routed = {"phase": Phase.RUNNING, "salt": "support"} | changes.pop("route", {})
            config = make_config(tmp_path / "journal", control_url or urls[0], treatment_url or urls[1], **changes)
            route = Route(
                experiment="support",
                epoch=1,
                split_basis_points=round(split * 100),
                mirror_basis_points=round(mirror * 100),
                **routed,
            )
            known: dict[str, str] = {}
            app = build_app(config, load_routes=lambda: [route], lookup_exchange=known.get)
            server = stack.enter_context(ExitStack())
            url = server.enter_context(serving(app, clients=config.router.clients))
            if request.param == "direct":
                _open_a_connection(app)
            else:
                app.direct_entry = None
            return Plane(url, app, control, treatment, tmp_path / "journal", server.close, known)

        yield start


def _open_a_connection(app: DataPlane) -> None:
    """Open an idle connection to every endpoint that takes one, as an earlier request would have left it."""
    entry = app.direct_entry
    assert entry is not None
    for upstream in app._upstreams.values():
        for endpoint in upstream.endpoints:
            transport = endpoint.transport
            if isinstance(transport, Http1Transport):
                opened = asyncio.run_coroutine_threadsafe(_opened(transport, endpoint.url), transport._loop)
                opened.result(timeout=5)


async def _opened(transport: Http1Transport, url: str) -> None:
    with suppress(UpstreamError):
        connection = await transport._connect(transport.origin(url))
        connection.idle_since = transport._loop.time()
        connection._idle.append(connection)
