"""Mirrored requests: the same request to the other variant, off the client's path. Bounded, and shed first.

A mirrored request always ends in the journal, also when it was shed or given up: what is missing can be counted.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from multidict import CIMultiDict

from experiments.model import ErrorKind
from router.errors import OverloadedError, UpstreamError
from router.recording import Recording, Sink
from router.telemetry.tracing import Span
from router.upstream.upstream import Upstream


class Mirrored(NamedTuple):
    """A request to be sent once more."""

    upstream: Upstream
    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    fields: dict[str, Any]
    capture_bytes: int
    """How much of the answer is kept."""
    span: Span | None = None
    """If the exchange is traced."""


class ShadowPool:
    """All mirrored requests of a process that are in flight.

    Args:
        record: Takes every exchange that has ended.
        limit: More than so many at a time are shed.
    """

    def __init__(self, record: Sink, limit: int) -> None:
        self._record = record
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()
        self.shed = 0

    def __repr__(self) -> str:
        return f"<ShadowPool [{len(self._tasks)} in flight, {self.shed} shed]>"

    def __len__(self) -> int:
        """Return how many are in flight."""
        return len(self._tasks)

    def dispatch(self, mirrored: Mirrored) -> None:
        """Send a request in a task of its own, or shed it if the pool is full."""
        if len(self._tasks) >= self._limit:
            self.shed += 1
            self._record(Recording(mirrored.fields, 0).finish(ErrorKind.SHED), mirrored.span)
            return
        task = asyncio.get_running_loop().create_task(self._send(mirrored))
        # The loop itself keeps only a weak reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, mirrored: Mirrored) -> None:
        recording = Recording(mirrored.fields, mirrored.capture_bytes)
        error: ErrorKind | None = None
        try:
            error = await self._exchange(mirrored, recording)
        except UpstreamError as failure:
            error = failure.kind
        except OverloadedError:
            error = ErrorKind.SHED
        except asyncio.CancelledError:
            error = ErrorKind.CANCELLED
            raise
        finally:
            self._record(recording.finish(error), mirrored.span)

    async def _exchange(self, mirrored: Mirrored, recording: Recording) -> ErrorKind | None:
        upstream = mirrored.upstream
        if not upstream.has_room_to_spare:
            raise OverloadedError("the backend's room is kept for live requests")
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
