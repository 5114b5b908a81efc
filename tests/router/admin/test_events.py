"""Server-sent events: they come when something is new, say how old the looks are, and cost one reader."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from tests_history import START, Life, good, live_through, living

from router.admin.app import build_admin
from router.admin.events import Events
from router.fakes.server import serving


@pytest.fixture(name="life", scope="module")
def _life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with living(tmp_path_factory.mktemp("life")) as life:
        life.controller.start(START)
        yield life


async def read(response: aiohttp.ClientResponse) -> dict:
    while True:
        line = (await asyncio.wait_for(response.content.readline(), 10)).decode()
        assert line, "the stream has ended"
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))


async def test_listeners_hear_within_seconds_that_something_happened(life: Life) -> None:
    with serving(build_admin(life.config, life.store)) as url:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/events") as response:
            before = [await read(response) for _ in range(2)]
            live_through(life, good)
            after = await read(response)
            for _ in range(5):
                after = after if after["fingerprint"] != before[-1]["fingerprint"] else await read(response)

    assert response.content_type == "text/event-stream"
    assert before[0]["fingerprint"] == before[1]["fingerprint"], "while nothing happens, nothing is new"
    assert after["fingerprint"] != before[0]["fingerprint"]


def test_a_running_experiment_without_looks_is_stale_and_an_ended_one_is_not(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.controller.start(START)
        events = Events(life.config, life.store)

        assert events.fresh(START + 5).stale_s == 0
        assert events.fresh(START + 3_600).stale_s == 3_600
        live_through(life, good)
        assert events.fresh(time.time()).stale_s == 0


async def test_too_many_listeners_are_told_to_come_later(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.admin.events._MOST_LISTENERS", 1)
    with serving(build_admin(life.config, life.store)) as url:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/events") as first:
            await read(first)
            async with session.get(f"{url}/api/v1/events") as second:
                assert (second.status, second.content_type) == (503, "application/problem+json")
