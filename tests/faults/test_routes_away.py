"""F16: the store of the routes is away. Control serves everyone, or the last good routes hold; never half a split."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests_config import make_config

from experiments.model import Phase, Route
from router.app import build_app
from router.fakes.backend import FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"


class AwayStore:
    """A store of routes that can be taken away."""

    def __init__(self) -> None:
        self.away = True
        self.split_basis_points = 5_000

    def load(self) -> list[Route]:
        if self.away:
            raise ConnectionError("the store is away")
        return [
            Route(
                experiment="support",
                epoch=1,
                phase=Phase.RUNNING,
                split_basis_points=self.split_basis_points,
                salt="support",
            )
        ]


async def ask(url: str, count: int = 60) -> list[int]:
    statuses = []
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            async with session.post(url + CHAT, data=b"hi", headers={"x-user-id": f"user-{number}"}) as response:
                await response.read()
                statuses.append(response.status)
    return statuses


async def wait_for(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # a thread polls
            await asyncio.sleep(0.02)


async def test_f16_control_serves_everyone_until_the_routes_are_read_and_then_the_last_good_ones_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.app._STALE_ROUTES_S", 0.5)
    control, treatment, routes = FakeBackend(), FakeBackend(), AwayStore()
    with serving(control) as control_url, serving(treatment) as treatment_url:
        config = make_config(tmp_path / "journal", control_url, treatment_url)
        app = build_app(config, load_routes=routes.load, lookup_exchange=lambda _: None)
        with serving(app) as url:
            statuses = await ask(url)
            undecided, told = treatment.counts[CHAT], app.not_ready()
            routes.away = False
            await wait_for(lambda: app.watcher.loaded)
            statuses += await ask(url)
            by_split = treatment.counts[CHAT]
            routes.away, routes.split_basis_points = True, 0
            whole = app.not_ready()
            await asyncio.sleep(0.6)  # two polls
            statuses += await ask(url)
            stale = app.not_ready()

    assert set(statuses) == {200}
    assert undecided == 0
    assert told == ["the routes were never read from the store: control serves everyone"]
    assert whole == []
    assert stale[0].endswith("s ago: what was decided since is not known here")
    assert 10 < by_split < 50
    assert treatment.counts[CHAT] == 2 * by_split, "the same users, by the last good routes"
    assert control.counts[CHAT] == 180 - 2 * by_split
