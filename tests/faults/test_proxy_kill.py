"""F9: kill -9 of a real proxy under load. Every answer that arrived is in the store once; in flight it may not be.

`TOUCHSTONE_KILLS=100` kills a hundred times; the default keeps the suite short.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import aiohttp
from sqlalchemy import select
from tests_process import ProxyProcess, proxy_process

from experiments.tables import EXCHANGE
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

CHAT = "/v1/chat/completions"
KILLS = int(os.environ.get("TOUCHSTONE_KILLS", "3"))
CLIENTS = 8
STREAM = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'


class Load:
    """Clients that ask until their connection breaks."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.broken = 0

    async def client(self, url: str, number: int) -> None:
        body = STREAM if number % 2 else b"hello"
        try:
            async with aiohttp.ClientSession() as session:
                while True:
                    async with session.post(url + CHAT, data=body) as response:
                        await response.read()
                        self.answered.append(response.headers["x-touchstone-exchange"])
        except aiohttp.ClientError:
            self.broken += 1


async def kill_under_load(load: Load, running: ProxyProcess, after_s: float) -> None:
    clients = [asyncio.create_task(load.client(running.url, number)) for number in range(CLIENTS)]
    await asyncio.sleep(after_s)
    running.process.kill()
    await asyncio.gather(*clients)


async def test_f9_every_answer_that_arrived_before_a_kill_is_in_the_store_once(
    tmp_path: Path, open_sqlite, recorder_of
) -> None:
    store, load, chance = open_sqlite(), Load(), random.Random(9)
    with serving(FakeBackend(Behaviour(chunks=5))) as url:
        for _ in range(KILLS):
            with proxy_process(tmp_path, url) as running:
                await kill_under_load(load, running, chance.uniform(0.2, 0.5))
            recorder_of(tmp_path / "journal", store).record()

    with store.engine.connect() as connection:
        stored = list(connection.execute(select(EXCHANGE.c.id)).scalars())
    assert len(load.answered) >= KILLS
    assert load.broken == KILLS * CLIENTS
    assert not set(load.answered) - set(stored), "answered and lost"
    assert len(stored) == len(set(stored)), "stored twice"
    assert len(set(stored) - set(load.answered)) <= KILLS * CLIENTS, "more than was in flight"
    assert list((tmp_path / "journal").glob("*.journal")) == []
