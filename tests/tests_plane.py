"""Two fake backends and a data plane in front of them, all on real loopback ports: a fixture of several folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests_config import make_config

from experiments.journal_format import Entry, read_segment
from experiments.model import Exchange, Feedback, Phase, Route
from router.app import DataPlane, build_app
from router.fakes.backend import FakeBackend
from router.fakes.server import serving


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


@pytest.fixture(name="plane", params=["http1", "aiohttp"])
def _plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Plane]]:
    """Start a data plane, over either transport; `split` and `mirror` in percent, other keywords change the rest."""
    with ExitStack() as stack:

        def start(
            split: float = 50, mirror: float = 0, *, treatment_url: str = "", control_url: str = "", **changes: Any
        ) -> Plane:
            control, treatment = FakeBackend(), FakeBackend()
            urls = [stack.enter_context(serving(backend)) for backend in (control, treatment)]
            settings = {"max_body_bytes": 2**20, "http_transport": request.param, **changes.pop("settings", {})}
            changes["settings"] = settings
            config = make_config(tmp_path / "journal", control_url or urls[0], treatment_url or urls[1], **changes)
            route = Route(
                experiment="support",
                epoch=1,
                phase=Phase.RUNNING,
                split_basis_points=round(split * 100),
                mirror_basis_points=round(mirror * 100),
                salt="support",
            )
            known: dict[str, str] = {}
            app = build_app(config, load_routes=lambda: [route], lookup_exchange=known.get)
            server = stack.enter_context(ExitStack())
            url = server.enter_context(serving(app, clients=config.router.clients))
            return Plane(url, app, control, treatment, tmp_path / "journal", server.close, known)

        yield start
