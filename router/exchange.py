"""The live exchange of one request: opens, falls back, streams, records.

Whatever happens, it is recorded once. The journal line is written **before** the last byte of the answer is handed to
the server, so whatever was answered is recorded, even if the process is killed right then.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import structlog
from starlette.types import Receive, Send

from experiments.model import CONTROL, TREATMENT, ErrorKind
from router.cache import CacheFiller
from router.errors import GATEWAY_STATUS, BodyTooLargeError, OverloadedError, UpstreamError
from router.feedback.tokens import FeedbackTokens
from router.front.answers import answer, overloaded, too_large
from router.front.bodies import StreamedBody
from router.headers import FEEDBACK_TOKEN, content_length, response_headers
from router.plan import Plan, Request
from router.recording import Recording, Sink, shadow_fields
from router.shadow import Mirrored, ShadowPool, is_failure
from router.timing import uuid7
from router.upstream.retry_budget import RetryBudget
from router.upstream.upstream import Upstream, UpstreamResponse

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Services:
    """What all exchanges of a process share."""

    record: Sink
    """Takes an exchange that has ended."""
    shadows: ShadowPool
    budget: RetryBudget
    """Asked before a second attempt that adds to the load."""
    in_flight: set[InFlight] = field(default_factory=set)
    tokens: FeedbackTokens | None = None
    """Signs what each answer may be voted on with; None if tokens are not configured."""


class InFlight(Protocol):
    """An exchange that may take too long."""

    def break_off_if_late(self, now: float, limit_s: float) -> None:
        """End it if it takes longer than the limit; `now` is of `time.perf_counter`."""

    def cancel(self) -> None:
        """End it: the process does."""


class Earlier(NamedTuple):
    """What came of a first attempt that was made elsewhere."""

    error: UpstreamError
    turned: bool = False
    """Whether it is settled that the other backend is asked."""
    last: bool = False
    """Whether it is settled that it is not."""


class Answer(NamedTuple):
    """A response whose first byte has come (or whose body is empty)."""

    response: UpstreamResponse
    first: bytes


class LiveExchange:
    """One request that is being served.

    Args:
        services: Shared by all.
        request: What was asked.
        plan: What to do with it.
        send: The client.
        recording: What is known of it, if it was begun elsewhere.
        earlier: What came of it there.
    """

    __slots__ = (
        "_client_gone",
        "_earlier",
        "_late",
        "_plan",
        "_recording",
        "_request",
        "_send",
        "_services",
        "_task",
        "_watcher",
    )

    def __init__(
        self,
        services: Services,
        request: Request,
        plan: Plan,
        send: Send,
        recording: Recording | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self._services = services
        self._request = request
        self._plan = plan
        self._send = send
        self._recording = recording or Recording(plan.fields, plan.capture_bytes)
        self._earlier = earlier
        self._client_gone = self._late = False
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def run(self, receive: Receive) -> None:
        """Serve the exchange; whatever happens, it is recorded once."""
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101  # ASGI runs in a task
        in_flight, body = self._services.in_flight, self._request.body
        in_flight.add(self)
        if isinstance(body, StreamedBody):
            # Two cannot read from the client: until the body is through, its reader sees whether the client leaves.
            body.on_end = lambda: self._start_watching(receive, task)
        else:
            self._start_watching(receive, task)
        try:
            await self._mirrored()
            if await self._repeated():
                return
            upstream, answered = await self._open()
            with answered.response as response:
                self._recording.answered(upstream.name, response.endpoint_url, response.status, response.headers)
                await self._stream(response, answered.first)
        except UpstreamError as error:
            await self._fail(error)
        except OverloadedError as error:
            self._record(ErrorKind.SHED)
            await overloaded(self._send, self._plan.fields["id"], self._request.path, str(error))
        except asyncio.CancelledError:
            if self._late:
                await self._fail(UpstreamError(ErrorKind.TIMEOUT, "the answer took longer than the total timeout"))
                return
            self._record(ErrorKind.CLIENT_CLOSED if self._client_gone else ErrorKind.CANCELLED)
            if not self._client_gone:
                raise
        finally:
            in_flight.discard(self)
            if self._watcher is not None:
                self._watcher.cancel()

    def break_off_if_late(self, now: float, limit_s: float) -> None:
        """End an exchange that takes longer than the limit; `now` is of `time.perf_counter`."""
        if now - self._recording.started > limit_s and not self._recording.done and self._task is not None:
            self._late = True
            self._task.cancel()

    def cancel(self) -> None:
        """Do nothing: who runs the task has ended it."""

    def _start_watching(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self._watcher = task.get_loop().create_task(self._watch(receive, task))

    async def _watch(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        """Cancel the exchange when the client leaves: before the first byte nothing else would tell."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._recording.done:
            self._client_gone = True
            task.cancel()

    async def _mirrored(self) -> None:
        """Send the mirrored request; which of the two goes out first was drawn at random."""
        plan = self._plan
        if dispatch_mirrored(plan, self._request, self._services) and plan.fields["shadow_first"]:
            # One turn of the loop: the mirror's request is on the wire before ours. Without it, ours is.
            await asyncio.sleep(0)

    async def _repeated(self) -> bool:
        """Answer from the cache, if it has the answer of the assigned variant."""
        plan = self._plan
        kept = plan.cache.get(plan.cache_key, plan.fields["assigned"]) if plan.cache is not None else None
        if kept is None:
            return False
        recording = self._recording
        recording.set(cached=True)
        recording.answered(plan.upstream.name, "", kept.status, kept.headers)
        recording.chunk(kept.body)
        await self._begin(kept.status, response_headers(kept.headers_now(), plan.fields["id"]))
        self._complete(None)
        await self._send({"type": "http.response.body", "body": kept.body})
        return True

    # --- opening ------------------------------------------------------------------------------------------------------

    async def _open(self) -> tuple[Upstream, Answer]:
        """Open the assigned backend; if it fails before its first byte, the other one, once."""
        plan, earlier = self._plan, self._earlier
        if plan.fallback is None and earlier is None:
            return plan.upstream, await self._attempt_own()
        try:
            if earlier is None:
                self._services.budget.note_request()
            answered = await self._attempt_own(earlier)
            failed = is_failure(answered.response.status) and plan.fallback is not None
            if not failed or not self._may_turn(ErrorKind.STATUS):
                return plan.upstream, answered
            answered.response.close()
            kind = ErrorKind.STATUS
        except UpstreamError as error:
            if not self._turns_from(error):
                raise
            kind = error.kind
        assert plan.fallback is not None  # noqa: S101  # one turns to nothing else
        other = TREATMENT if plan.fields["assigned"] == CONTROL else CONTROL
        self._recording.set(fallback=kind.value, served=other)
        return plan.fallback, await self._attempt(plan.fallback)

    async def _attempt_own(self, earlier: Earlier | None = None) -> Answer:
        """Ask the assigned backend; after a spot instance has broken off, another of its endpoints, once."""
        upstream, settled = self._plan.upstream, earlier is not None and (earlier.turned or earlier.last)
        try:
            if earlier is not None:
                raise earlier.error
            return await self._attempt(upstream)
        except UpstreamError as error:
            # Not charged to the retry budget: what broke off works no more, so the load is not doubled.
            if settled or self._has_flowed() or not upstream.may_send_again(error):
                raise
        upstream.sent_again += 1
        return await self._attempt(upstream)

    def _turns_from(self, error: UpstreamError) -> bool:
        earlier = self._earlier
        if earlier is not None and (earlier.turned or earlier.last):
            return earlier.turned
        return self._plan.fallback is not None and self._may_turn(error.kind)

    def _may_turn(self, kind: ErrorKind) -> bool:
        """Whether the fallback may be asked.

        A body that has begun to flow cannot be sent again. And a second attempt must not double the load on backends
        that fail under it: the budget limits it, except after a request that was never sent, which cost nothing.
        """
        return not self._has_flowed() and (kind in _NEVER_SENT or self._services.budget.may_retry())

    def _has_flowed(self) -> bool:
        body = self._request.body
        return isinstance(body, StreamedBody) and body.started

    async def _attempt(self, upstream: Upstream) -> Answer:
        """Send the request and wait for the first byte of the body: until then one may still turn elsewhere."""
        request, plan = self._request, self._plan
        # Where nobody else is left to ask, an endpoint that is thought to be down is asked all the same.
        last = plan.fallback is None or upstream is plan.fallback
        response = await upstream.open(request.method, request.target, plan.headers, request.body, last_resort=last)
        try:
            return Answer(response, await response.read())
        except BaseException as error:
            response.give_up(error)
            raise

    # --- answering ----------------------------------------------------------------------------------------------------

    async def _stream(self, response: UpstreamResponse, chunk: bytes) -> None:
        fields = self._plan.fields
        headers = response_headers(response.headers, fields["id"])
        filler = self._filler(response)
        await self._begin(response.status, headers)
        expected = content_length(headers)
        error = ErrorKind.STATUS if is_failure(response.status) else None
        # Once for every piece of every stream: nothing here that is not needed.
        send, read, recording = self._send, response.read, self._recording
        while chunk:
            length = response.taken_bytes = recording.chunk(chunk)
            if filler is not None:
                filler.add(chunk)
            if length == expected:
                # The client has its whole answer with this chunk: record it first.
                self._complete(error, filler)
                await send({"type": "http.response.body", "body": chunk})
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await read()
        self._complete(error, filler)
        await send({"type": "http.response.body", "body": b""})

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        headers.extend(added_headers(self._plan, self._services))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _filler(self, response: UpstreamResponse) -> CacheFiller | None:
        """Return what collects the answer for the cache, if it is one of the assigned variant and may be kept."""
        plan = self._plan
        if plan.cache is None or "fallback" in plan.fields:
            return None
        *headers, _ = response_headers(response.headers, "")
        return plan.cache.fill(plan.cache_key, response.status, headers, stream=bool(plan.fields.get("stream")))

    def _complete(self, error: ErrorKind | None, filler: CacheFiller | None = None) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if filler is not None:
            filler.complete()
        self._record(error)

    def _record(self, error: ErrorKind | None) -> None:
        if self._recording.done:
            return
        body = self._request.body
        if isinstance(body, StreamedBody):
            self._recording.set(bytes_in=body.passed_bytes)
        self._services.record(self._recording.finish(error), self._plan.span)

    async def _fail(self, error: UpstreamError) -> None:
        """Answer for a backend that failed; after the first byte, break the stream off instead of ending it."""
        body = self._request.body
        if isinstance(body, StreamedBody) and body.error is not None:
            await self._fail_for_client(body.error)
            return
        plan, started = self._plan, self._recording.bytes_out > 0
        status = GATEWAY_STATUS.get(error.kind, 502)
        if not started:
            self._recording.set(status=int(status), backend=plan.upstream.name)
        self._record(error.kind)
        _log.warning(
            "upstream_failed",
            exchange=plan.fields["id"],
            backend=plan.upstream.name,
            kind=error.kind.value,
            mid_stream=started,
        )
        if started:
            # Returning without a last body message makes the server close the connection: the client sees a broken
            # stream, never one that looks complete.
            return
        message = f"the model backend {plan.upstream.name!r} failed: {_PLAIN[error.kind]}"
        content = plan.protocol.error(int(status), message, "upstream_error", f"upstream_{error.kind.value}")
        # Who got an error may say so, too.
        await answer(self._send, plan.fields["id"], int(status), *content, _token(plan, self._services))

    async def _fail_for_client(self, error: Exception) -> None:
        """End an exchange whose streamed request ended early: no fault of the backend."""
        self._record(ErrorKind.CLIENT_CLOSED)
        if isinstance(error, BodyTooLargeError) and not self._recording.bytes_out:
            await too_large(self._send, self._plan.fields["id"], self._request.path, str(error))


_NEVER_SENT = frozenset({ErrorKind.CONNECT, ErrorKind.UNAVAILABLE, ErrorKind.DRAINED})
_PLAIN = {
    ErrorKind.CONNECT: "it refused the connection or could not be reached",
    ErrorKind.TIMEOUT: "it did not answer in time",
    ErrorKind.RESET: "it closed the connection before its answer was complete",
    ErrorKind.MALFORMED: "its answer was not correct HTTP",
    ErrorKind.UNAVAILABLE: "it has failed too often, or is asked too much, and is left alone for now",
    ErrorKind.DRAINED: "it is being drained",
}


def dispatch_mirrored(plan: Plan, request: Request, services: Services) -> bool:
    """Send the mirrored request of a plan, once; returns whether there was one."""
    upstream, body = plan.mirror, request.body
    if upstream is None or not isinstance(body, bytes):
        return False
    plan.mirror = None
    other = TREATMENT if plan.fields["assigned"] == CONTROL else CONTROL
    fields, headers = shadow_fields(plan.fields, other, uuid7()), plan.headers
    span = plan.span.child() if plan.span is not None else None
    if span is not None:
        headers = span.carried_in(headers)
    services.shadows.dispatch(
        Mirrored(upstream, request.method, request.target, headers, body, fields, plan.capture_bytes, span)
    )
    return True


def added_headers(plan: Plan, services: Services) -> tuple[tuple[bytes, bytes], ...]:
    """Return what is added to an answer: which variant it is of, if that is to be told, and what to vote on it with."""
    token = _token(plan, services)
    if plan.expose_variant:
        return ((b"x-touchstone-variant", plan.fields["served"].encode()), *token)
    return token


def _token(plan: Plan, services: Services) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that lets the client give feedback on an answer, if it is signed."""
    tokens, fields = services.tokens, plan.fields
    token = tokens.issue(fields["experiment"], fields["id"], time.time()) if tokens is not None else None
    return ((FEEDBACK_TOKEN, token),) if token is not None else ()


async def sweep_late(in_flight: set[InFlight], limit_s: float) -> None:
    """Break off what takes longer than the limit; looked at from outside, once a second."""
    while True:
        await asyncio.sleep(min(1.0, limit_s / 4))
        now = time.perf_counter()
        for exchange in list(in_flight):
            exchange.break_off_if_late(now, limit_s)
