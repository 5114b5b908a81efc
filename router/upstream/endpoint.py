"""One URL of a backend: what is out to it, whether it may be asked, and an answer that it gives."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Protocol, Self

import structlog

from experiments.config.serving import Ejection
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.upstream.ejection import Breaker, State
from router.upstream.transports.base import Answer, Transport

_log = structlog.get_logger(__name__)


class Condition(StrEnum):
    """What an endpoint is fit for, the most lasting reason first."""

    DRAINED = "drained"
    """Somebody asked that it gets no new requests."""
    UNHEALTHY = "unhealthy"
    """Its health checks fail."""
    EJECTED = "ejected"
    """Its circuit is open: it failed too often."""
    HALF_OPEN = "half_open"
    """One request tries whether it is back."""
    AVAILABLE = "available"


class Endpoint:
    """One URL.

    Args:
        backend: Name of the backend.
        url: Its base URL.
        transport: What carries requests to it.
        ejection: When its circuit opens.
        max_outstanding: Requests out to it at a time; None for any number.
        is_spot: Whether it is a spot instance, which may end at any time.
    """

    __slots__ = (
        "_max_outstanding",
        "backend",
        "breaker",
        "drained",
        "healthy",
        "is_spot",
        "outstanding",
        "transport",
        "url",
    )

    def __init__(
        self,
        backend: str,
        url: str,
        transport: Transport,
        ejection: Ejection,
        max_outstanding: int | None = None,
        *,
        is_spot: bool = False,
    ) -> None:
        self.backend = backend
        self.url = url.rstrip("/")
        self.transport = transport
        self.breaker = Breaker(ejection)
        self.healthy = True
        """What the health checks say; without any, true."""
        self.drained = False
        self.is_spot = is_spot
        self.outstanding = 0
        self._max_outstanding = max_outstanding

    def __repr__(self) -> str:
        return f"<Endpoint {self.url} [{self.outstanding} outstanding]>"

    @property
    def condition(self) -> Condition:
        """What it is fit for."""
        if self.drained:
            return Condition.DRAINED
        if not self.healthy:
            return Condition.UNHEALTHY
        if self.breaker.state is State.OPEN:
            return Condition.EJECTED
        return Condition.HALF_OPEN if self.breaker.state is State.HALF_OPEN else Condition.AVAILABLE

    @property
    def has_room(self) -> bool:
        """Whether one more request may be out to it, as far as its limit goes."""
        return self._max_outstanding is None or self.outstanding < self._max_outstanding

    @property
    def has_room_to_spare(self) -> bool:
        """Whether more than half of its room is free."""
        return self._max_outstanding is None or 2 * self.outstanding < self._max_outstanding

    def is_available(self, now: float) -> bool:
        """Whether it may be asked; `now` is monotonic."""
        return not self.drained and self.healthy and self.breaker.admits(now) and self.has_room

    def begin(self, now: float) -> int:
        """Note that a request goes out; returns its ticket for `end`."""
        self.outstanding += 1
        return self.breaker.begin(now)

    def end(self, ticket: int, *, failed: bool | None, refused: bool = False) -> None:
        """Note what became of a request.

        Args:
            ticket: From `begin`.
            failed: Whether the endpoint failed; None if that cannot be told, because its client left.
            refused: No connection was had.
        """
        self.outstanding -= 1
        breaker = self.breaker
        if failed is False:
            if breaker.succeeded(ticket):
                _log.warning("endpoint_back", backend=self.backend, endpoint=self.url)
        elif failed is None:
            breaker.abandoned(ticket)
        else:
            before = breaker.ejections
            # A spot instance that fails may have ended: the next request should not be what finds that out.
            breaker.failed(ticket, time.monotonic(), refused=refused or self.is_spot)
            if breaker.ejections > before:
                _log.warning("endpoint_ejected", backend=self.backend, endpoint=self.url, times=breaker.ejections)


class Silence:
    """How long nothing more has come of a body.

    Looked at from outside, a few times within the limit: a clock read for every piece would cost more.
    """

    __slots__ = ("_seen_bytes", "_since")

    def __init__(self) -> None:
        self._seen_bytes, self._since = -1, 0.0

    def is_longer_than(self, limit_s: float, now: float, arrived_bytes: int, *, excused: bool) -> bool:
        """Look again.

        Args:
            limit_s: Longest silence.
            now: Monotonic.
            arrived_bytes: How much of the body there is.
            excused: It is not for the backend to say something now.
        """
        if excused or arrived_bytes != self._seen_bytes:
            self._seen_bytes, self._since = arrived_bytes, now
            return False
        return now - self._since > limit_s


class Stalling(Protocol):
    """An answer that may stall."""

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End it if it has been silent for longer than the limit; `now` is monotonic."""


class UpstreamResponse:
    """An answer of which the headers have come: a context that closes it, and in which only our errors are raised."""

    __slots__ = (
        "_answer",
        "_closed",
        "_endpoint",
        "_open",
        "_silence",
        "_stalled",
        "_ticket",
        "endpoint_url",
        "headers",
        "read",
        "status",
        "taken_bytes",
    )

    def __init__(self, answer: Answer, endpoint: Endpoint, ticket: int, open_answers: set[Stalling]) -> None:
        self._open = open_answers
        open_answers.add(self)
        self._answer = answer
        self._ticket = ticket
        self._closed = False
        # The bare method, not a coroutine around it: every piece of every stream would pay for that frame.
        self.read = answer.read
        """Returns the next piece of the body, as it came; empty only after a complete body."""
        self.taken_bytes = 0
        """How much of the body its reader has, noted by the reader: what still waits is no silence of the backend."""
        self._silence = Silence()
        self._stalled = False
        self._endpoint = endpoint
        self.endpoint_url = endpoint.url
        self.status = answer.status
        self.headers = answer.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.give_up(error)

    def give_up(self, error: BaseException | None) -> None:
        """Close, and raise the transport's error as ours.

        Raises:
            UpstreamError: The body broke off, or stalled.
        """
        ours = self._answer.translate(error)
        if self._stalled and isinstance(ours, UpstreamError):
            ours = UpstreamError(ErrorKind.TIMEOUT, "silent for too long inside a body")
        self._close(ours)
        if ours is not None and ours is not error:
            raise ours from error

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End a body that has been silent for longer than the limit; `read` raises then."""
        arrived = self._answer.arrived_bytes
        excused = arrived > self.taken_bytes or self._answer.arrived_whole
        if self._silence.is_longer_than(limit_s, now, arrived, excused=excused):
            self._stalled = True
            self._answer.break_off()

    def close(self) -> None:
        """Give the connection back if the body is complete, else close it: nobody wants the rest."""
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._open.discard(self)
        self._endpoint.end(self._ticket, failed=self._has_failed(error))
        self._answer.close()

    def _has_failed(self, error: BaseException | None) -> bool | None:
        """Whether the endpoint did; None if its answer was not waited for to its end."""
        if self.status >= 500 or isinstance(error, UpstreamError):
            return True
        return False if self._answer.arrived_whole else None
