"""One request on the short way: what the client's connection calls a cycle, and the backend's connection a reader.

The order is that of `router.exchange`: the journal line is written before the last byte of the answer is handed to the
client's transport, and until the first byte of the answer's body one may still turn elsewhere. What came from the
backend at once goes to the client at once, in one write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import structlog

from experiments.model import ErrorKind
from router.direct.heads import answer_head
from router.errors import UpstreamError
from router.exchange import Earlier, added_headers, dispatch_mirrored
from router.headers import response_headers
from router.plan import Request
from router.recording import Recording
from router.shadow import is_failure
from router.timing import uuid7
from router.upstream.endpoint import Silence

if TYPE_CHECKING:
    from router.front.client_connection import ClientConnection
    from router.front.entry import Head
    from router.proxy import Proxy
    from router.routes import Headers
    from router.upstream.transports.base import RawHeaders
    from router.upstream.upstream import KeptConnection

_log = structlog.get_logger(__name__)
_STATUS = ErrorKind.STATUS  # looking up a member of an enumeration takes its time


class DirectExchange:
    """A `router.front.entry.DirectCycle` for the client's connection, a `Reader` for the backend's.

    Args:
        proxy: Plans, records, and carries out what cannot be done here.
        client: The client's connection.
        head: Of the request.
        headers: The same headers by name.
    """

    __slots__ = (
        "_chunked",
        "_client",
        "_expected",
        "_failed",
        "_head",
        "_headers",
        "_out",
        "_paused",
        "_plan",
        "_proxy",
        "_recording",
        "_request",
        "_silence",
        "_status",
        "_turning",
        "_way",
        "_way_headers",
        "arrived_whole",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(self, proxy: Proxy, client: ClientConnection, head: Head, headers: Headers) -> None:
        self._proxy = proxy
        self._client = client
        self._head = head
        self._headers = headers
        self._way: KeptConnection | None = None
        self._out: list[bytes] = []
        self._paused = False
        self._status = 0
        self._turning = False
        """The backend's status says that it failed, and the other one is asked once what came of it is dealt with."""
        self._silence = Silence()
        self.arrived_whole = False
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_started = self.response_complete = False
        self.keep_alive = head.keep_alive

    # --- the client's side: a `DirectCycle` ---------------------------------------------------------------------------

    @property
    def message_event(self) -> Self:
        """As a cycle's: `set` is called when something has changed."""
        return self

    def set(self) -> None:
        """Take note that the client has left."""
        if self.disconnected and self._way is not None:
            self._end(ErrorKind.CLIENT_CLOSED)

    def client_takes_more(self) -> None:
        """Read on, after a pause for the client's sake."""
        if self._paused and self._way is not None:
            self._paused = False
            self._way.connection.resume()

    def start(self) -> None:
        """Plan the request, which is whole, and send it; all that is not ordinary is handed over."""
        head, proxy, body = self._head, self._proxy, bytes(self.body)
        target = head.raw_path + b"?" + head.query if head.query else head.raw_path
        request = Request(head.method, head.path, target.decode("latin-1"), self._headers, head.headers, body)
        try:
            plan = proxy.plan(request, uuid7()) if proxy.has_room else None
        except Exception:  # noqa: BLE001  # whatever it is: the long way meets it too, logs it and answers
            plan = None
        if plan is None:
            self._client.serve_over_asgi(self, head)
            return
        self._plan, self._request = plan, request
        self._recording = Recording(plan.fields, plan.capture_bytes)
        way = plan.upstream.kept_connection(plan.headers) if plan.cache is None and plan.span is None else None
        if way is None:
            self._hand_over()
            return
        self._way = way
        proxy.enter(self, len(body))
        if dispatch_mirrored(plan, request, proxy.services) and plan.fields["shadow_first"]:
            # One turn of the loop: the mirror's request is on the wire before ours.
            self._client.loop.call_soon(self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        way, request = self._way, self._request
        if way is None:
            return  # the client has left meanwhile
        if way.connection.closed:
            self._leave(failed=None)
            self._hand_over()
            return
        if self._plan.fallback is not None:
            self._proxy.services.budget.note_request()
        way.upstream.open_answers.add(self)
        body = request.known_body
        way.connection.ask(way.head(request.method, request.target, body), body, self)

    # --- the backend's side: a `Reader` -------------------------------------------------------------------------------

    def begin(self, status: int, headers: RawHeaders) -> None:
        """Take the status and the headers."""
        self._status, self._way_headers = status, headers

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body."""
        if not self.response_started and not self._start():
            return False
        if self._recording.chunk(data) == self._expected:
            # The client has its whole answer with this piece: record it first.
            self._record(_STATUS if self._failed else None)
        self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        return False

    def complete(self) -> None:
        """Take the end of the body."""
        self.arrived_whole = True
        if not self.response_started and not self._start():
            return
        if not self._recording.done:
            self._record(_STATUS if self._failed else None)
        if self._chunked:
            self._out.append(b"0\r\n\r\n")

    def flush(self) -> None:
        """Hand on what came."""
        if self._turning:
            self._turn()
            return
        if self._out and not self.disconnected:
            self._client.transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()
        if self.arrived_whole:
            self._finish()
        elif self._client.flow.write_paused and not self._paused and self._way is not None:
            self._paused = True
            self._way.connection.pause()

    def fail(self, error: UpstreamError) -> None:
        """Take the news that there will be no more: before the first byte somebody else may answer."""
        if self._way is None:
            return
        self._leave(failed=True)
        if self.response_started:
            self._break_off(error)
        else:
            self._hand_over(Earlier(error, turned=self._turning))

    # --- looked at from outside ---------------------------------------------------------------------------------------

    def break_off_if_late(self, now: float, limit_s: float) -> None:
        """End an exchange that takes longer than the limit; `now` is of `time.perf_counter`."""
        if self._way is None or now - self._recording.started <= limit_s:
            return
        error = UpstreamError(ErrorKind.TIMEOUT, "the answer took longer than the total timeout")
        self._leave(failed=None)
        if self.response_started:
            self._break_off(error)
        else:
            self._hand_over(Earlier(error, last=True))

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End a body that has been silent for longer than the limit; `now` is monotonic."""
        excused = not self._status or self._paused
        if self._silence.is_longer_than(limit_s, now, self._recording.bytes_out, excused=excused):
            self.fail(UpstreamError(ErrorKind.TIMEOUT, "silent for too long inside a body"))

    def cancel(self) -> None:
        """End it: the process does."""
        if self._way is None:
            return
        self._end(ErrorKind.CANCELLED)
        if not self.response_started:
            text = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")
            head = answer_head(500, text, self._client.default_headers, keep_alive=False)
            self._client.transport.write(head.data + b"Internal Server Error")
        self._client.transport.close()

    # --- states -------------------------------------------------------------------------------------------------------

    def _start(self) -> bool:
        """Begin the answer, unless the other backend is to be asked, since this one's says that it failed."""
        way, plan, status = self._way, self._plan, self._status
        if self._turning or way is None:
            return False
        self._failed = is_failure(status)
        if self._failed and plan.fallback is not None and self._proxy.services.budget.may_retry():
            self._turning = True
            return False
        self._recording.answered(plan.upstream.name, way.endpoint.url, status, self._way_headers)
        headers = response_headers(self._way_headers, plan.fields["id"])
        headers.extend(added_headers(plan, self._proxy.services))
        head = answer_head(status, headers, self._client.default_headers, keep_alive=self.keep_alive)
        self._expected, self._chunked = head.length, head.length is None
        self._out.append(head.data)
        self.response_started = True
        return True

    def _turn(self) -> None:
        """Let the other backend answer; the connection is kept if the answer that nobody wants was whole."""
        whole, error = self.arrived_whole, UpstreamError(ErrorKind.STATUS, "its status says that it failed")
        self._leave(failed=self._status >= 500 or (False if whole else None), clean=whole)
        self._hand_over(Earlier(error, turned=True))

    def _record(self, error: ErrorKind | None) -> None:
        if not self._recording.done:
            self._proxy.services.record(self._recording.finish(error), None)

    def _finish(self) -> None:
        """End an answer that is whole."""
        self._leave(failed=self._status >= 500, clean=True)
        self.response_complete = True
        if not self.keep_alive:
            self._client.close_after_answer()
        self._client.on_response_complete()

    def _end(self, kind: ErrorKind) -> None:
        """End it before its answer was whole; whoever waited for it is gone, or will be."""
        self._leave(failed=None)
        self._record(kind)

    def _leave(self, *, failed: bool | None, clean: bool = False) -> None:
        """Give the backend's connection back, or close it; what its endpoint is thought to be follows."""
        way = self._way
        assert way is not None  # noqa: S101  # asked by every caller
        self._way = None
        way.upstream.open_answers.discard(self)
        if self._paused:
            self._paused = False
            way.connection.resume()
        way.endpoint.end(way.ticket, failed=failed)
        way.connection.release(self, clean=clean)
        self._proxy.leave(self, len(self.body))

    def _break_off(self, error: UpstreamError) -> None:
        """End an answer that has begun: the client sees a broken stream, never one that looks complete."""
        self._record(error.kind)
        _log.warning(
            "upstream_failed",
            exchange=self._plan.fields["id"],
            backend=self._plan.upstream.name,
            kind=error.kind.value,
            mid_stream=True,
        )
        if self._out:
            self._client.transport.write(b"".join(self._out))
        self._client.close_after_answer()

    def _hand_over(self, earlier: Earlier | None = None) -> None:
        """Let `router.exchange` go on from here."""
        app = self._proxy.going_on(self._request, self._plan, self._recording, earlier)
        self._client.serve_over_asgi(self, self._head, app)
