"""Mirrored requests: the same request to the other variant, off the client's path. Bounded, and shed first.

A mirrored request always ends in the journal, also when it was shed or given up: what is missing can be counted.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from multidict import CIMultiDict

from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.journal import Journal
from router.recording import Recording
from router.upstream import Upstream


class Mirrored(NamedTuple):
    """A request to be sent once more."""

    upstream: Upstream
    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    fields: dict[str, Any]


class ShadowPool:
    """All mirrored requests of a process that are in flight.

    Args:
        journal: Where their exchanges go.
        limit: More than so many at a time are shed.
        capture_bytes: How much of an answer is kept.
    """

    def __init__(self, journal: Journal, limit: int, capture_bytes: int) -> None:
        self._journal = journal
        self._limit = limit
        self._capture_bytes = capture_bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self.shed = 0

    def __repr__(self) -> str:
        return f"<ShadowPool [{len(self._tasks)} in flight, {self.shed} shed]>"

    def dispatch(self, mirrored: Mirrored) -> None:
        """Send a request in a task of its own, or shed it if the pool is full."""
        if len(self._tasks) >= self._limit:
            self.shed += 1
            self._journal.append(Recording(mirrored.fields, 0).finish(ErrorKind.SHED))
            return
        task = asyncio.get_running_loop().create_task(self._send(mirrored))
        # The loop itself keeps only a weak reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, mirrored: Mirrored) -> None:
        recording = Recording(mirrored.fields, self._capture_bytes)
        error: ErrorKind | None = None
        try:
            error = await self._exchange(mirrored, recording)
        except UpstreamError as failure:
            error = failure.kind
        except asyncio.CancelledError:
            error = ErrorKind.CANCELLED
            raise
        finally:
            self._journal.append(recording.finish(error))

    async def _exchange(self, mirrored: Mirrored, recording: Recording) -> ErrorKind | None:
        upstream = mirrored.upstream
        with await upstream.open(mirrored.method, mirrored.target, mirrored.headers, mirrored.body) as response:
            recording.answered(upstream.name, response.endpoint_url, response.status, response.headers)
            while chunk := await response.read():
                response.taken_bytes = recording.chunk(chunk)
        return ErrorKind.STATUS if is_failure(response.status) else None

    async def close(self, grace_s: float) -> None:
        """Let what is in flight end within the grace time, then cancel the rest."""
        tasks = list(self._tasks)
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=grace_s)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def is_failure(status: int) -> bool:
    """Whether a status is the backend's failure: 5xx, or 429 (it refuses load). A 4xx is the caller's mistake."""
    return status >= 500 or status == 429
