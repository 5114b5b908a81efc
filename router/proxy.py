"""One exchange, from first byte to journal, as plain ASGI.

    read the body -> find the experiment -> assign the unit -> mirror, or not -> open upstream (fall back to control)
    -> stream back -> journal

Two rules shape the code. The user's request always wins: nothing here waits for a store, a scorer or a mirror. And the
journal line is written **before** the last byte of the answer is handed to the server, so whatever was answered is
recorded, even if the process is killed right then.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from multidict import CIMultiDict
from starlette.types import Receive, Scope, Send

from experiments.assignment import BUCKETS, assign, unit_of
from experiments.config.records import Config
from experiments.model import CONTROL, TREATMENT, ErrorKind
from experiments.protocols import Protocol, protocol
from router.errors import (
    EXCHANGE_HEADER,
    GATEWAY_STATUS,
    BodyTooLargeError,
    ClientGoneError,
    UpstreamError,
)
from router.headers import content_length, request_headers, response_headers
from router.journal import Journal
from router.recording import Recording, shadow_fields
from router.routes import BoundRoute, Headers, RouteWatcher, read_source
from router.shadow import Mirrored, ShadowPool, is_failure
from router.timing import uuid7
from router.upstream import Upstream, UpstreamResponse

_log = structlog.get_logger(__name__)
_DISCARD_BYTES = 256 * 2**20
_DISCARD_SECONDS = 5.0
_random = random.Random()  # noqa: S311  # draws a sample, keeps no secret


@dataclass(slots=True)
class _Request:
    """What the client asked, read once."""

    method: str
    path: str
    target: str
    headers: Headers
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes = b""


@dataclass(slots=True)
class _Plan:
    """Where a request goes, and what to do if that fails."""

    upstream: Upstream
    protocol: Protocol
    fields: dict[str, Any]
    """Known fields of its exchange."""
    fallback: Upstream | None = None
    """Control, if the request goes to a treatment."""
    mirror: Upstream | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


class Proxy:
    """ASGI application of the model paths.

    Args:
        config: Limits and experiments.
        watcher: Holds the current route table.
        upstreams: Backend name -> upstream.
        journal: Where exchanges go.
        shadows: Where mirrored requests go.
    """

    def __init__(
        self,
        config: Config,
        watcher: RouteWatcher,
        upstreams: dict[str, Upstream],
        journal: Journal,
        shadows: ShadowPool,
    ) -> None:
        settings = config.router
        self._watcher = watcher
        self._upstreams = upstreams
        self._journal = journal
        self._shadows = shadows
        self._max_body_bytes = settings.max_body_bytes
        self._capture_bytes = settings.capture_bytes
        self._default = upstreams.get(settings.default_backend or "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange_id = uuid7()
        try:
            request = await self._read(scope, receive)
        except BodyTooLargeError:
            await _discard(receive)
            message = f"the request body is larger than {self._max_body_bytes} bytes"
            await _refuse(send, exchange_id, 413, message, "invalid_request_error", "body_too_large")
            return
        except ClientGoneError:
            return
        if b"upgrade" in request.headers:
            message = "protocol upgrades (WebSocket, HTTP/2) are not supported on this port"
            await _refuse(send, exchange_id, 501, message, "invalid_request_error", "upgrade_not_supported")
            return
        plan = self._plan(request, exchange_id)
        if plan is None:
            await self._refuse_unmatched(send, exchange_id, request.path)
            return
        await _Exchange(self, request, plan, send).run(receive)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _read(self, scope: Scope, receive: Receive) -> _Request:
        raw_headers = scope["headers"]
        query = scope["query_string"]
        target = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        request = _Request(scope["method"], scope["path"], target.decode("latin-1"), dict(raw_headers), raw_headers)
        announced = content_length(raw_headers)
        if announced is not None and announced > self._max_body_bytes:
            raise BodyTooLargeError
        request.body = await self._read_body(receive)
        return request

    async def _read_body(self, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            return bytes(message.get("body", b""))
        body = bytearray()
        while message["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise BodyTooLargeError
            if not message.get("more_body"):
                return bytes(body)
            message = await receive()
        raise ClientGoneError

    # --- planning -----------------------------------------------------------------------------------------------------

    def _plan(self, request: _Request, exchange_id: str) -> _Plan | None:
        fields: dict[str, Any] = {
            "id": exchange_id,
            "at": time.time(),
            "method": request.method,
            "path": request.path,
            "bytes_in": len(request.body),
        }
        bound = self._watcher.table.find(request.path, request.headers, request.body)
        if bound is not None:
            return self._plan_experiment(bound, request, fields)
        if self._default is None:
            return None
        fields |= {"experiment": "", "protocol": self._default.protocol}
        plan = _Plan(self._default, protocol(self._default.protocol), fields)
        plan.headers = request_headers(request.raw_headers, plain_text=False)
        return plan

    def _plan_experiment(self, bound: BoundRoute, request: _Request, fields: dict[str, Any]) -> _Plan:
        experiment, route = bound.experiment, bound.route
        unit_id = read_source(experiment.unit, request.headers, request.body) or fields["id"]
        unit = unit_of(route.salt, unit_id.encode())
        variant, propensity = assign(unit.bucket, route.split_basis_points)
        control, treatment = self._upstreams[experiment.control], self._upstreams[experiment.treatment]
        treated = variant == TREATMENT
        fields |= {
            "experiment": experiment.name,
            "epoch": route.epoch,
            "stage": route.stage,
            "unit": unit.key,
            "bucket": unit.bucket,
            "propensity": propensity,
            "assigned": variant,
            "served": variant,
            "protocol": control.protocol,
            "slices": _slices(bound, request),
            "request_text": request.body[: self._capture_bytes].decode("utf-8", "replace"),
        }
        if len(request.body) > self._capture_bytes:
            fields["truncated"] = True
        plan = _Plan(treatment if treated else control, bound.protocol, fields, control if treated else None)
        # An answer that is to be compared is recorded as text: ask for it uncompressed.
        plan.headers = request_headers(request.raw_headers, plain_text=True)
        if route.mirror_basis_points and _random.random() * BUCKETS < route.mirror_basis_points:
            plan.mirror = control if treated else treatment
            fields["pair"] = fields["id"]
            fields["shadow_first"] = _random.random() < 0.5
        return plan

    async def _refuse_unmatched(self, send: Send, exchange_id: str, path: str) -> None:
        paths = ", ".join(self._watcher.table.paths) or "none"
        message = f"no experiment matches {path!r} and no default_backend is configured; experiments match: {paths}"
        await _refuse(send, exchange_id, 404, message, "invalid_request_error", "no_experiment")


class _Answer(NamedTuple):
    """A response whose first byte has come (or whose body is empty)."""

    response: UpstreamResponse
    first: bytes


class _Exchange:
    """The live exchange of one request: opens, falls back, streams, records."""

    __slots__ = ("_client_gone", "_plan", "_proxy", "_recording", "_request", "_send", "_watcher")

    def __init__(self, proxy: Proxy, request: _Request, plan: _Plan, send: Send) -> None:
        self._proxy = proxy
        self._request = request
        self._plan = plan
        self._send = send
        self._recording = Recording(plan.fields, proxy._capture_bytes)  # noqa: SLF001  # one module, two classes
        self._client_gone = False
        self._watcher: asyncio.Task[None] | None = None

    async def run(self, receive: Receive) -> None:
        """Serve the exchange; whatever happens, it is recorded once."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # ASGI runs in a task
        self._watcher = task.get_loop().create_task(self._watch(receive, task))
        try:
            await self._mirrored()
            upstream, answer = await self._open()
            with answer.response as response:
                self._recording.answered(upstream.name, response.endpoint_url, response.status, response.headers)
                await self._stream(response, answer.first)
        except UpstreamError as error:
            await self._fail(error)
        except asyncio.CancelledError:
            self._record(ErrorKind.CLIENT_CLOSED if self._client_gone else ErrorKind.CANCELLED)
            if not self._client_gone:
                raise
        finally:
            self._watcher.cancel()

    async def _watch(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        """Cancel the exchange when the client leaves: before the first byte nothing else would tell."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self._recording.done:
            self._client_gone = True
            task.cancel()

    async def _mirrored(self) -> None:
        """Send the mirrored request; which of the two goes out first was drawn at random."""
        plan, request = self._plan, self._request
        if plan.mirror is None:
            return
        other = TREATMENT if plan.fields["assigned"] == CONTROL else CONTROL
        fields = shadow_fields(plan.fields, other, uuid7())
        mirrored = Mirrored(plan.mirror, request.method, request.target, plan.headers.copy(), request.body, fields)
        self._proxy._shadows.dispatch(mirrored)  # noqa: SLF001
        if plan.fields["shadow_first"]:
            # One turn of the loop: the mirror's request is on the wire before ours. Without it, ours is.
            await asyncio.sleep(0)

    async def _open(self) -> tuple[Upstream, _Answer]:
        """Open the assigned backend; if a treatment fails before its first byte, control, once."""
        plan = self._plan
        if plan.fallback is None:
            return plan.upstream, await self._attempt(plan.upstream)
        try:
            answer = await self._attempt(plan.upstream)
            if not is_failure(answer.response.status):
                return plan.upstream, answer
            answer.response.close()
            kind = ErrorKind.STATUS
        except UpstreamError as error:
            kind = error.kind
        self._recording.set(fallback=kind.value, served=CONTROL)
        return plan.fallback, await self._attempt(plan.fallback)

    async def _attempt(self, upstream: Upstream) -> _Answer:
        """Send the request and wait for the first byte of the body: until then one may still turn elsewhere."""
        request = self._request
        response = await upstream.open(request.method, request.target, self._plan.headers, request.body)
        try:
            return _Answer(response, await response.read())
        except BaseException as error:
            response.give_up(error)
            raise

    async def _stream(self, response: UpstreamResponse, chunk: bytes) -> None:
        headers = response_headers(response.headers, self._plan.fields["id"])
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
        expected = content_length(headers)
        error = ErrorKind.STATUS if is_failure(response.status) else None
        # Once for every piece of every stream: nothing here that is not needed.
        send, read, recording = self._send, response.read, self._recording
        while chunk:
            length = response.taken_bytes = recording.chunk(chunk)
            if length == expected:
                # The client has its whole answer with this chunk: record it first.
                self._complete(error)
                await send({"type": "http.response.body", "body": chunk})
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await read()
        self._complete(error)
        await send({"type": "http.response.body", "body": b""})

    def _complete(self, error: ErrorKind | None) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        self._record(error)

    def _record(self, error: ErrorKind | None) -> None:
        if not self._recording.done:
            self._proxy._journal.append(self._recording.finish(error))  # noqa: SLF001

    async def _fail(self, error: UpstreamError) -> None:
        """Answer for a backend that failed; after the first byte, break the stream off instead of ending it."""
        started = self._recording.bytes_out > 0
        status = GATEWAY_STATUS.get(error.kind, 502)
        if not started:
            self._recording.set(status=int(status), backend=self._plan.upstream.name)
        self._record(error.kind)
        _log.warning("upstream_failed", backend=self._plan.upstream.name, kind=error.kind.value, mid_stream=started)
        if started:
            # Returning without a last body message makes the server close the connection: the client sees a broken
            # stream, never one that looks complete.
            return
        message = f"the model backend {self._plan.upstream.name!r} failed: {_PLAIN[error.kind]}"
        body = self._plan.protocol.error(int(status), message, "upstream_error", f"upstream_{error.kind.value}")
        await _answer(self._send, self._plan.fields["id"], int(status), *body)


_PLAIN = {
    ErrorKind.CONNECT: "it refused the connection or could not be reached",
    ErrorKind.TIMEOUT: "it did not answer in time",
    ErrorKind.RESET: "it closed the connection before its answer was complete",
    ErrorKind.MALFORMED: "its answer was not correct HTTP",
}


def _slices(bound: BoundRoute, request: _Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for slice_ in bound.experiment.slices:
        value = read_source(slice_.source, request.headers, request.body)
        if value is not None:
            found[slice_.attribute] = value[:64]
    return found


async def _discard(receive: Receive) -> None:
    """Read on for a while and throw away: a client that is still sending would not see an answer otherwise."""
    discarded = 0
    try:
        async with asyncio.timeout(_DISCARD_SECONDS):
            while discarded < _DISCARD_BYTES:
                message = await receive()
                discarded += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


async def _refuse(send: Send, exchange_id: str, status: int, message: str, kind: str, code: str) -> None:
    """Refuse a request that is no exchange: nothing was sent to any backend, so nothing is recorded."""
    body = protocol("openai").error(status, message, kind, code)
    await _answer(send, exchange_id, status, *body, close=status == 413)


async def _answer(
    send: Send, exchange_id: str, status: int, body: bytes, content_type: bytes, *, close: bool = False
) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (EXCHANGE_HEADER, exchange_id.encode()),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
