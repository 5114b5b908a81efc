"""Warm-up: synthetic requests to a backend before traffic comes and when none comes, so that no user waits for it.

Their exchanges are recorded with the role `warmup` and belong to no experiment: they count in no outcome and no pair.
The file is JSON lines, one request each:

    {"path": "/v1/chat/completions", "body": {"model": "support", "messages": [...], "max_tokens": 1}}
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import structlog

from experiments.config.serving import Backend
from experiments.model import ErrorKind, Exchange, Role
from router.errors import OverloadedError, UpstreamError
from router.recording import Recording
from router.shadow import is_failure
from router.timing import uuid7
from router.upstream.endpoint import Endpoint
from router.upstream.upstream import Upstream

_log = structlog.get_logger(__name__)
_HEADERS = [(b"content-type", b"application/json"), (b"accept", b"*/*"), (b"user-agent", b"touchstone-warmup")]
_LIMIT_S = 60.0
"""For all requests before traffic together, and for one round in a quiet period: a start must not hang on a backend."""
_TARGET = re.compile(r"/[!\"$-~]*", re.ASCII)
"""Path and query on a request line: visible ASCII without `#`."""


class WarmupError(Exception):
    """A file of warm-up requests that cannot be used: file, line, and the rule that is broken."""


class WarmupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file: a POST."""

    path: str
    """Path and query, as a client would send them to the backend."""
    body: dict[str, Any]


def read_requests(path: Path) -> tuple[WarmupRequest, ...]:
    """Read a file of warm-up requests; blank lines are passed over.

    Raises:
        WarmupError: The file cannot be read, has no request, or a line is none; the message names file and line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise WarmupError(f"{path}: {error.strerror}") from error
    found = tuple(_read_line(path, number, line) for number, line in enumerate(lines, start=1) if line.strip())
    if not found:
        raise WarmupError(f"{path}: has no request")
    return found


def _read_line(path: Path, number: int, line: bytes) -> WarmupRequest:
    try:
        request = msgspec.json.decode(line, type=WarmupRequest)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise WarmupError(f"{path}:{number}: {error}") from error
    if not _TARGET.fullmatch(request.path):
        rule = "must start with / and have neither spaces, `#` nor characters outside ASCII"
        raise WarmupError(f"{path}:{number}: path {request.path!r} {rule}")
    return request


def read_all(backends: Mapping[str, Backend]) -> dict[str, tuple[WarmupRequest, ...]]:
    """Return backend name -> its warm-up requests, of those backends that have any.

    Raises:
        WarmupError: See `read_requests`.
    """
    return {name: read_requests(b.warmup.requests) for name, b in backends.items() if b.warmup is not None}


class Warmer:
    """Keeps one backend warm, for one proxy process.

    Args:
        backend: Its `warmup` says when; without it, nothing is ever sent.
        requests: What is sent.
        upstream: Where to.
        record: Takes every exchange that has ended.
        last_used: Returns when the backend last got a request, on the monotonic clock; the upstream's own by default.
        limit_s: See `_LIMIT_S`.
    """

    def __init__(
        self,
        backend: Backend,
        requests: Sequence[WarmupRequest],
        upstream: Upstream,
        record: Callable[[Exchange], object],
        last_used: Callable[[], float] | None = None,
        limit_s: float = _LIMIT_S,
    ) -> None:
        self._settings = backend.warmup
        self._requests = tuple(requests)
        self._upstream = upstream
        self._record = record
        self._last_used = last_used or (lambda: upstream.last_used_at)
        self._limit_s = limit_s
        self._failing = False

    def __repr__(self) -> str:
        return f"<Warmer of {self._upstream.name} [{len(self._requests)} requests]>"

    async def before_traffic(self) -> None:
        """Send every request once to each endpoint, one after the other; never raises, and ends in a bounded time."""
        if self._settings is None or not self._settings.before_traffic:
            return
        outcomes = await self._send_within_limit(self._requests)
        failures = [outcome for outcome in outcomes if outcome]
        of = len(self._requests) * len(self._upstream.endpoints)
        if failures:
            _log.warning(
                "warmup_incomplete",
                backend=self._upstream.name,
                good=len(outcomes) - len(failures),
                of=of,
                first=failures[0],
            )
        else:
            _log.info("warmed_up", backend=self._upstream.name, good=len(outcomes))

    async def keep_warm(self) -> None:
        """Send one request to each endpoint after every `quiet_s` without traffic, in turn; until it is cancelled."""
        if self._settings is None or self._settings.quiet_s is None or not self._requests:
            return
        sent_at = time.monotonic()
        for request in cycle(self._requests):
            await self._wait_for_quiet(self._settings.quiet_s, sent_at)
            sent_at = time.monotonic()
            self._note_health(await self._send_within_limit([request]))

    async def _wait_for_quiet(self, quiet_s: float, sent_at: float) -> None:
        while True:
            wait_s = max(self._last_used(), sent_at) + quiet_s - time.monotonic()
            if wait_s <= 0:
                return
            await asyncio.sleep(wait_s)

    def _note_health(self, outcomes: list[str]) -> None:
        """Log failing, and its end, once an episode."""
        failures = [outcome for outcome in outcomes if outcome]
        if bool(failures) == self._failing:
            return
        self._failing = not self._failing
        if failures:
            _log.warning("warmup_failing", backend=self._upstream.name, first=failures[0])
        else:
            _log.warning("warmup_works_again", backend=self._upstream.name)

    async def _send_within_limit(self, requests: Sequence[WarmupRequest]) -> list[str]:
        """Send each request to each endpoint; returns what went wrong with those that were sent, empty for nothing."""
        outcomes: list[str] = []
        try:
            async with asyncio.timeout(self._limit_s):
                for request in requests:
                    # Each of them, and not those whose turn it is: one on demand would stay cold behind spot instances.
                    for endpoint in self._upstream.endpoints:
                        if not endpoint.drained:
                            outcomes.append(await self._send(request, endpoint))  # noqa: PERF401  # what is done counts
        except TimeoutError:
            outcomes.append("out of time")
        return outcomes

    async def _send(self, request: WarmupRequest, endpoint: Endpoint) -> str:
        body = msgspec.json.encode(request.body)
        # The answer's text serves nobody: its size and its times are kept.
        recording = Recording(self._fields(request, body), 0)
        error: ErrorKind | None = None
        try:
            status = await self._exchange(request, endpoint, body, recording)
            error = ErrorKind.STATUS if is_failure(status) else None
        except UpstreamError as failure:
            error = failure.kind
        except OverloadedError:
            error = ErrorKind.SHED
        except asyncio.CancelledError:
            error = ErrorKind.CANCELLED
            raise
        finally:
            self._record(recording.finish(error))
        if error is not None and error is not ErrorKind.STATUS:
            return error.value
        # A 4xx is no fault of the backend, but warms nothing up: the file is wrong.
        return f"status {status}" if status >= 400 else ""

    async def _exchange(self, request: WarmupRequest, endpoint: Endpoint, body: bytes, recording: Recording) -> int:
        with await self._upstream.open_at(endpoint, "POST", request.path, _HEADERS, body) as response:
            recording.answered(self._upstream.name, response.endpoint_url, response.status, response.headers)
            while chunk := await response.read():
                response.taken_bytes = recording.chunk(chunk)
        return response.status

    def _fields(self, request: WarmupRequest, body: bytes) -> dict[str, Any]:
        return {
            "id": uuid7(),
            "at": time.time(),
            "experiment": "",
            "role": Role.WARMUP,
            "backend": self._upstream.name,
            "protocol": self._upstream.protocol,
            "method": "POST",
            "path": request.path.partition("?")[0],
            "bytes_in": len(body),
        }
