"""The demo's users: each speaks one language, asks one to four questions, and always comes to the same app."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import aiohttp

from experiments.golden.sets import GoldenItem

APPS = ("support-web", "support-mobile")
"""Model names that the two apps ask for; the router tells the experiments apart by them."""
_ACTIVE_USERS = 30
_MOST_IN_FLIGHT = 32


class Question(NamedTuple):
    """One request of one user."""

    app: str
    user: str
    language: str
    messages: list[dict[str, str]]


def questions(golden: Sequence[GoldenItem], seed: int) -> Iterator[Question]:
    """Yield the questions of an endless row of users, some thirty of them active at a time."""
    chance = random.Random(seed)
    by_language: dict[str, list[GoldenItem]] = {}
    for item in golden:
        by_language.setdefault(item.tags["language"], []).append(item)
    users = _users(by_language, chance)
    active = [next(users) for _ in range(_ACTIVE_USERS)]
    while True:
        place = chance.randrange(_ACTIVE_USERS)
        question = next(active[place], None)
        if question is None:
            active[place] = next(users)
        else:
            yield question


def _users(by_language: dict[str, list[GoldenItem]], chance: random.Random) -> Iterator[Iterator[Question]]:
    languages, number = sorted(by_language), 0
    while True:
        language = chance.choice(languages)
        items = chance.sample(by_language[language], chance.randint(1, 4))
        app, user = APPS[number % len(APPS)], f"user-{number}"
        yield iter([Question(app, user, language, item.request["messages"]) for item in items])
        number += 1


def request_body(question: Question) -> dict[str, object]:
    """Return the chat request: greedy decoding, and no prompt cache, which would favour whoever answers second."""
    return {
        "model": question.app,
        "messages": question.messages,
        "max_tokens": 40,
        "temperature": 0,
        "cache_prompt": False,
    }


class Traffic:
    """Sends questions at a bounded rate until told to stop, or until its bound is reached.

    Args:
        url: The router.
        per_second: Requests a second.
        most: Requests in all.
    """

    def __init__(self, url: str, per_second: float, most: int) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._interval = 1 / per_second
        self._most = most
        self.sent = 0
        self.failed = 0

    async def run(self, source: Iterator[Question], done: Callable[[], bool]) -> None:
        """Send until `done()` or the bound."""
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        places = asyncio.Semaphore(_MOST_IN_FLIGHT)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            due = loop.time()
            while self.sent < self._most and not done():
                await places.acquire()
                task = loop.create_task(self._ask(session, next(source), places))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                self.sent += 1
                # A late start is not made up for: the rate is a bound, not a target.
                due = max(due + self._interval, loop.time())
                await asyncio.sleep(due - loop.time())
            await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession, question: Question, places: asyncio.Semaphore) -> None:
        headers = {"x-user-id": question.user, "x-language": question.language}
        try:
            async with session.post(self._url, json=request_body(question), headers=headers) as response:
                await response.read()
                self.failed += response.status != 200
        except (aiohttp.ClientError, TimeoutError):
            self.failed += 1
        finally:
            places.release()
