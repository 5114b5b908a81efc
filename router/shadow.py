"""Mirrored requests: the same request to the other variant, off the client's path. Bounded, and shed first.

A mirrored request always ends in the journal, also when it was shed or given up: what is missing can be counted. To an
endpoint with a free connection in the clear it goes by plain calls, as live requests do on their short way; else, and
when it has to be sent again, in a task.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.model import ErrorKind
from router.errors import OverloadedError, UpstreamError
from router.headers import BackendHeaders
from router.recording import Recording, Sink
from router.telemetry.tracing import Span
from router.upstream.endpoint import Silence
from router.upstream.upstream import KeptConnection, Upstream

if TYPE_CHECKING:
    from router.upstream.transports.base import RawHeaders


_LOOK_AGAIN_S = 0.01


class Mirrored(NamedTuple):
    """A request to be sent once more."""

    upstream: Upstream
    method: str
    target: str
    headers: BackendHeaders
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
        self._direct: set[_DirectMirrored] = set()
        self._about_to = 0
        """Requests that are sent at the next turn of the loop."""
        self.shed = 0

    def __repr__(self) -> str:
        return f"<ShadowPool [{len(self)} in flight, {self.shed} shed]>"

    def __len__(self) -> int:
        """Return how many are in flight."""
        return len(self._tasks) + len(self._direct) + self._about_to

    def dispatch(self, mirrored: Mirrored) -> None:
        """Send a request at the next turn of the loop, or shed it if the pool is full."""
        if len(self) >= self._limit:
            self.shed += 1
            self._record(Recording(mirrored.fields, 0).finish(ErrorKind.SHED), mirrored.span)
            return
        self._about_to += 1
        asyncio.get_running_loop().call_soon(self._begin, mirrored)

    def _begin(self, mirrored: Mirrored) -> None:
        self._about_to -= 1
        upstream = mirrored.upstream
        # Only of a POST is it sure that it is not sent again by itself, and that its answer has a body.
        is_plain = mirrored.method == "POST" and upstream.has_room_to_spare
        way = upstream.kept_connection(mirrored.headers) if is_plain else None
        if way is None:
            self._send_in_task(mirrored, Recording(mirrored.fields, mirrored.capture_bytes))
            return
        direct = _DirectMirrored(self, mirrored, way)
        self._direct.add(direct)
        direct.ask()

    def _send_in_task(self, mirrored: Mirrored, recording: Recording) -> None:
        task = asyncio.get_running_loop().create_task(self._send(mirrored, recording))
        # The loop itself keeps only a weak reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, direct: _DirectMirrored, recording: Recording, error: UpstreamError | ErrorKind | None) -> None:
        """Take note of a request that went by plain calls; one that may be sent again is."""
        self._direct.discard(direct)
        mirrored = direct.mirrored
        if isinstance(error, UpstreamError):
            if not recording.bytes_out and mirrored.upstream.may_send_again(error):
                mirrored.upstream.sent_again += 1
                self._send_in_task(mirrored, recording)
                return
            error = error.kind
        self._record(recording.finish(error), mirrored.span)

    async def _send(self, mirrored: Mirrored, recording: Recording) -> None:
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
        try:
            return await self._once(mirrored, recording)
        except UpstreamError as error:
            # As a live request: the end of a spot instance is no fault of the variant that it served.
            if recording.bytes_out or not mirrored.upstream.may_send_again(error):
                raise
        mirrored.upstream.sent_again += 1
        return await self._once(mirrored, recording)

    async def _once(self, mirrored: Mirrored, recording: Recording) -> ErrorKind | None:
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
        deadline = time.monotonic() + grace_s
        while len(self) and time.monotonic() < deadline:  # noqa: ASYNC110  # once, when the process ends
            await asyncio.sleep(_LOOK_AGAIN_S)
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        for direct in list(self._direct):
            direct.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


class _DirectMirrored:
    """A mirrored request on a connection that was free: what that calls a reader."""

    __slots__ = (
        "_pool",
        "_recording",
        "_silence",
        "_status",
        "_way",
        "arrived_whole",
        "mirrored",
    )

    def __init__(self, pool: ShadowPool, mirrored: Mirrored, way: KeptConnection) -> None:
        self._pool = pool
        self.mirrored = mirrored
        self._way: KeptConnection | None = way
        self._recording = Recording(mirrored.fields, mirrored.capture_bytes)
        self._status = 0
        self._silence = Silence()
        self.arrived_whole = False

    def ask(self) -> None:
        """Send it."""
        way, mirrored = self._way, self.mirrored
        assert way is not None  # noqa: S101  # nothing has ended yet
        way.upstream.open_answers.add(self)
        way.connection.ask(way.head(mirrored.method, mirrored.target, mirrored.body), mirrored.body, self)

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Take the status and the headers."""
        self._status = status
        if self._way is not None:
            self._recording.answered(self._way.upstream.name, self._way.endpoint.url, status, headers)

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body."""
        self._recording.chunk(data)
        return False

    def complete(self) -> None:
        """Take the end of the body."""
        self.arrived_whole = True

    def flush(self) -> None:
        """End, once all is there."""
        if self.arrived_whole and self._way is not None:
            self._end(ErrorKind.STATUS if is_failure(self._status) else None, failed=self._status >= 500, clean=True)

    def fail(self, error: UpstreamError) -> None:
        """Take the news that there will be no more."""
        if self._way is not None:
            self._end(error, failed=True)

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End a body that has been silent for longer than the limit; `now` is monotonic."""
        excused = not self._status
        if self._silence.is_longer_than(limit_s, now, self._recording.bytes_out, excused=excused):
            self.fail(UpstreamError(ErrorKind.TIMEOUT, "silent for too long inside a body"))

    def cancel(self) -> None:
        """Give it up: the process ends."""
        if self._way is not None:
            self._end(ErrorKind.CANCELLED, failed=None)

    def _end(self, error: UpstreamError | ErrorKind | None, *, failed: bool | None, clean: bool = False) -> None:
        way, self._way = self._way, None
        assert way is not None  # noqa: S101  # asked by every caller
        way.upstream.open_answers.discard(self)
        way.endpoint.end(way.ticket, failed=failed)
        way.connection.release(self, clean=clean)
        self._pool.ended(self, self._recording, error)


def is_failure(status: int) -> bool:
    """Whether a status is the backend's failure: 5xx, or 429 (it refuses load). A 4xx is the caller's mistake."""
    return status >= 500 or status == 429
