"""Takes pairs out of the line, has their questions asked, and stores what came of it: a thread with a loop of its own.

Never more pairs are held than questions may be on their way, so a slow judge makes the line in the store longer and
nothing else. Of several controllers only the one that leads takes any. A pair leaves the line in the transaction that
stores its outcome. Killed at any moment, the next process asks again what was on its way; nothing is lost or double.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from experiments.config.records import Config
from experiments.pairs.stored_pairs import stored_pairs
from experiments.scoring.score_tasks import ScoreTask, Spend, TaskStore, day_of
from experiments.store import Store
from router.scoring.attempt import Again, Attempts, Done, Work
from router.scoring.budget import Budget

_log = structlog.get_logger(__name__)
_IDLE_S = 0.5
_STORE_AWAY_S = 2.0
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 300.0
_JOIN_S = 10.0


class ScoringRunner:
    """Works on the line while it is entered; without a metric that asks, it does nothing.

    Args:
        config: What is scored, and who is asked.
        store: Migrated by the time that there are tasks.
        leads: Whether this process leads; asked before each take.

    Raises:
        experiments.scorers.base.ScorerError: A scorer cannot be made.
        router.processes.secrets.SecretError: The key of a backend that is asked cannot be had.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """

    def __init__(self, config: Config, store: Store, leads: Callable[[], bool] = lambda: True) -> None:
        self._store, self._leads = store, leads
        self._line = TaskStore(store.engine)
        self._attempts = Attempts(config)
        self._budget = Budget(self._attempts.scorers)
        self._concurrency = config.router.scoring.concurrency
        self._running: dict[int, asyncio.Task[None]] = {}
        """`seq` of each task that is being worked on."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<ScoringRunner of {len(self._attempts.scorers)} metrics, {len(self._running)} on their way>"

    def __enter__(self) -> Self:
        if self._attempts.scorers:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="scoring", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: what is on its way is given up, and waits in the line for the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_JOIN_S)

    async def _run(self) -> None:
        # As for golden runs: a kept connection may be closed by the server just as the next question goes out.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False) as session:
            while not self._stop.is_set():
                try:
                    taken = await self._take(session)
                except SQLAlchemyError as error:
                    _log.warning("scoring_store_away", error=type(error).__name__)
                    await self._pause(_STORE_AWAY_S)
                except Exception:  # noqa: BLE001  # see below
                    # Whatever it is: the line is still there, and the next process must not find it abandoned.
                    _log.exception("scoring_failed")
                    await self._pause(_STORE_AWAY_S)
                else:
                    await self._pause(0.0 if taken and self._has_room() else _IDLE_S)
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _has_room(self) -> bool:
        return len(self._running) < self._concurrency

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until a place becomes free."""
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            slice_s = min(left, 0.1)  # soon enough for a stop
            if self._running and not self._has_room():
                await asyncio.wait(self._running.values(), timeout=slice_s, return_when=asyncio.FIRST_COMPLETED)
                if self._has_room():
                    return
            else:
                await asyncio.sleep(slice_s)
        await asyncio.sleep(0)

    async def _take(self, session: aiohttp.ClientSession) -> int:
        """Take what is due and there is room for; returns how many tasks were begun."""
        if not self._has_room() or not self._leads():
            return 0
        # Before the store is read: what comes to its end meanwhile is counted twice for once, and never not at all.
        self._budget.reserve()
        works = await asyncio.to_thread(self._due, time.time(), list(self._running))
        for work in works:
            self._budget.begin(work.metric, len(work.questions))
            self._running[work.task.seq] = asyncio.create_task(self._carry_out(session, work))
        return len(works)

    def _due(self, now: float, running: list[int]) -> list[Work]:
        """Return tasks with their pairs; in a thread of its own, since it waits for the store."""
        self._budget.set_spent(self._line.spent(day_of(now)), now)
        room = self._concurrency - len(running)
        tasks = self._line.due(now, room, not_these=running, not_of=self._budget.closed(now))
        known = [task for task in tasks if (task.experiment, task.metric) in self._attempts.scorers]
        for task in tasks:
            if task not in known:
                # The configuration has no such metric any more: there is no scorer that could say anything.
                _log.warning("scoring_given_up", pair=task.pair, metric=task.metric, reason="not configured")
                self._line.finish(task, None, Spend(), now)
        pairs = stored_pairs(self._store.engine, (task.pair for task in known))
        works = [self._attempts.work(task, pairs.get(task.pair)) for task in known]
        return [work for work in works if self._budget.take(work.metric, len(work.questions))]

    async def _carry_out(self, session: aiohttp.ClientSession, work: Work) -> None:
        try:
            found = await self._attempts.attempt(session, work, time.time())
            await self._until_stored(work, found)
        except Exception:  # noqa: BLE001  # the task is still in the line; the others must go on
            _log.exception("scoring_failed", pair=work.task.pair, metric=work.task.metric)
            await asyncio.sleep(_STORE_AWAY_S)
        finally:
            self._budget.end(work.metric, len(work.questions))
            del self._running[work.task.seq]

    async def _until_stored(self, work: Work, found: Done | Again) -> None:
        """Store it, however long the store is away: until then the task keeps its place, and nothing more is taken."""
        now, backend = time.time(), work.scorer.asking.backend
        paused_s = 0.0
        if found.trouble is not None and found.trouble.is_busy:
            paused_s = self._budget.pause(backend, now, found.trouble.wait_s)
        elif found.spend.calls:
            self._budget.answered(backend)
        if isinstance(found, Done):
            failure = found.outcome.failure if found.outcome is not None else ""
            if failure:
                _log.warning("score_failed", pair=work.task.pair, metric=work.task.metric, reason=failure)
            await self._retried(self._line.finish, work.task, found.outcome, found.spend, now)
        else:
            await self._retried(self._line.postpone, _later(work.task, found, now, paused_s), found.spend, now)

    async def _retried(self, store: Callable[..., Any], *what: Any) -> None:
        while True:
            try:
                await asyncio.to_thread(store, *what)
            except SQLAlchemyError as error:
                _log.warning("scoring_store_away", error=type(error).__name__)
                await asyncio.sleep(_STORE_AWAY_S)
            else:
                return


def _later(task: ScoreTask, again: Again, now: float, paused_s: float) -> ScoreTask:
    """Return a task as it is to be tried again: each time after twice as long, or when its server wants it."""
    trouble = again.trouble
    if trouble is not None and trouble.wait_s is not None:
        wait_s = trouble.wait_s
    else:
        wait_s = min(_FIRST_WAIT_S * 2**task.attempts, _LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311
    tried = 0 if trouble is not None and trouble.is_limited else 1
    due_at = now + max(wait_s, paused_s)
    return replace(task, due_at=due_at, attempts=task.attempts + tried, trouble=again.reason)
