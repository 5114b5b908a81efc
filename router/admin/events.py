"""`GET /api/v1/events`: server-sent events that say that something is new, and how fresh everything is.

An event carries no data of an experiment, only a fingerprint: who hears that it has changed reads what he wants from
the API, or fetches his page again. One reader asks the store for all listeners, once a second and only while there are
any, so that a hundred open pages cost what one costs.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from experiments.config.records import Config
from experiments.model import Phase
from experiments.store import Store
from experiments.tables import ACKNOWLEDGEMENT, DRAIN, EVENT, GATE, LOOK, ROUTE, TRANSITION

_log = structlog.get_logger(__name__)
_INTERVAL_S = 1.0
_MOST_LISTENERS = 200
_PATIENCE_S = 30.0
"""A running experiment without a look for so long, beside three times the configured interval, is stale."""


class Fresh(msgspec.Struct, frozen=True):
    """What an event says."""

    fingerprint: str
    """Changes whenever something does that a page may show."""
    at: float
    """By the server's wall clock, in seconds since the epoch."""
    stale_s: float
    """For how long no look has been taken of what runs; 0 while all is well."""


class Events:
    """The endpoint.

    Args:
        config: How often looks are taken.
        store: Asked for what is new.
        interval_s: How often.
    """

    def __init__(self, config: Config, store: Store, interval_s: float = _INTERVAL_S) -> None:
        self._store = store
        self._interval_s = interval_s
        self._patience_s = max(_PATIENCE_S, 3 * config.router.look_interval_s)
        self._listeners: set[asyncio.Queue[bytes]] = set()
        self._reader: asyncio.Task[None] | None = None

    async def listen(self, request: Request) -> Response:
        """Answer with a stream that ends when the listener leaves."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if len(self._listeners) >= _MOST_LISTENERS:
            raise HTTPException(503, "too many listeners; try again later", {"retry-after": "10"})
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _stream(self) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._listeners.add(queue)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        try:
            yield b"retry: 2000\n\n"
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def _read(self) -> None:
        while self._listeners:
            try:
                fresh = await run_in_threadpool(self.fresh, time.time())
            except SQLAlchemyError as error:
                # Nothing is sent: the pages themselves notice the silence, and say so.
                _log.warning("events_without_store", reason=type(error).__name__)
            else:
                self._tell(b"event: state\ndata: " + msgspec.json.encode(fresh) + b"\n\n")
            await asyncio.sleep(self._interval_s)

    def _tell(self, event: bytes) -> None:
        for queue in self._listeners:
            if queue.full():  # a slow listener wants the newest only
                queue.get_nowait()
            queue.put_nowait(event)

    def fresh(self, now: float) -> Fresh:
        """Ask the store: a handful of rows by their keys, however much is stored."""
        newest = select(func.max(LOOK.c.seq)).where(
            LOOK.c.experiment == ROUTE.c.experiment, LOOK.c.epoch == ROUTE.c.epoch
        )
        looks = select(ROUTE.c.experiment, ROUTE.c.phase, ROUTE.c.stage_started_at, newest.scalar_subquery())
        with self._store.engine.connect() as connection:
            routes = [tuple(row) for row in connection.execute(looks.order_by(ROUTE.c.experiment))]
            seqs = [row[3] for row in routes if row[1] == Phase.RUNNING and row[3] is not None]
            found = connection.execute(select(LOOK.c.seq, LOOK.c.at).where(LOOK.c.seq.in_(seqs)))
            times = {row.seq: row.at for row in found}
            other = [
                connection.execute(select(func.max(column))).scalar_one()
                for column in (TRANSITION.c.seq, EVENT.c.at, ACKNOWLEDGEMENT.c.at, GATE.c.at, DRAIN.c.since)
            ]
            other.append(connection.execute(select(func.count()).select_from(DRAIN)).scalar_one())
        ages = [now - times.get(seq, started) for _, phase, started, seq in routes if phase == Phase.RUNNING]
        stale_s = max(ages, default=0.0)
        digest = hashlib.sha256(msgspec.json.encode([routes, other])).hexdigest()[:16]
        return Fresh(digest, now, stale_s if stale_s > self._patience_s else 0.0)
