"""Load on one URL: by clients that wait for their answer (closed loop), or at a rate that waits for nobody (open loop).

A closed loop slows down with the server, so it never shows what a queue does to users. An open loop does; there,
latency counts from when a request was due, so that one that could not be sent in time is not taken for a fast one
(Tene's "coordinated omission").
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp

_MOST_IN_FLIGHT = 512
"""Of an open loop: beyond it requests wait here, and the wait counts."""
_SEED = 7


class Loaded(NamedTuple):
    """What came of it."""

    latencies_ms: list[float]
    """Of the requests that were answered with 200."""
    failures: int
    seconds: float
    """From the first request to the last answer."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def quantile_ms(self, share: float) -> float | None:
        """Return the latency at or below which so large a share of the answers lies; None if there was none.

        >>> Loaded([4.0, 1.0, 3.0, 2.0], 0, 1.0).quantile_ms(0.5)
        2.0
        """
        ordered = sorted(self.latencies_ms)
        return ordered[max(0, round(share * len(ordered) + 0.499999) - 1)] if ordered else None


class Load:
    """Sends bodies, in turn, to one URL.

    Args:
        url: Where to.
        bodies: JSON objects.
        headers: Of every request.
    """

    def __init__(self, url: str, bodies: Sequence[Mapping[str, Any]], headers: Mapping[str, str]) -> None:
        self._url = url
        self._bodies = bodies
        self._headers = dict(headers)
        self._sent = 0
        self._failures = 0
        self._latencies_ms: list[float] = []

    async def closed(self, clients: int, seconds: float) -> Loaded:
        """Let so many clients ask, each again as soon as it is answered."""
        started = time.perf_counter()

        async def client(session: aiohttp.ClientSession) -> None:
            while time.perf_counter() - started < seconds:
                await self._ask(session, time.perf_counter())

        async with self._session() as session:
            await asyncio.gather(*(client(session) for _ in range(clients)))
        return Loaded(self._latencies_ms, self._failures, time.perf_counter() - started)

    async def open(self, per_second: float, seconds: float) -> Loaded:
        """Send at so many a second on average, at random times (a Poisson process), whatever comes back."""
        chance, places, tasks = random.Random(_SEED), asyncio.Semaphore(_MOST_IN_FLIGHT), set[asyncio.Task[None]]()
        started = due = time.perf_counter()
        async with self._session() as session, asyncio.TaskGroup() as group:

            async def ask(due: float) -> None:
                async with places:
                    await self._ask(session, due)

            while due - started < seconds:
                task = group.create_task(ask(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                due += chance.expovariate(per_second)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await asyncio.gather(*tasks)
        return Loaded(self._latencies_ms, self._failures, time.perf_counter() - started)

    async def _ask(self, session: aiohttp.ClientSession, due: float) -> None:
        body = self._bodies[self._sent % len(self._bodies)]
        self._sent += 1
        try:
            async with session.post(self._url, json=body, headers=self._headers) as response:
                await response.read()
                fine = response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            fine = False
        if fine:
            self._latencies_ms.append(1000 * (time.perf_counter() - due))
        else:
            self._failures += 1

    @staticmethod
    def _session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120), trust_env=False
        )
