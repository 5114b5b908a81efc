"""One client's connection: its requests checked and held to the limits, its answers in their order.

    idle -> head -> body -> answering -> idle          each with its own longest time
              |       |         |
              +-------+---------+---> lingering -> closed      (told why, or answered early; then read out for a moment)

A client that is closed upon while it still sends would see a reset in place of its answer: that is what lingering is
for.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import urllib.parse
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from router.front.cycles import Http10Cycle, answer_options
from router.front.entry import DirectCycle, DirectEntry, Head
from router.front.refusals import RefusedError, farewell, malformed, too_many_bytes, too_many_headers
from router.front.request_head import SPECIAL, check_head, check_special, check_trailer, read_target

if TYPE_CHECKING:
    from router.front.server import FrontDoor

_LINGER_S = 5.0
"""How long a client that has its last answer is read on."""
_MOST_LINGERING = 256
_MOST_PIPELINED = 64
_LINE_BYTES = 64
"""Room for what of a head is neither target nor header, so that it is judged alike whole and in pieces."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Exit:
    """The transport as an answer sees it; how a connection is closed depends on what the client is doing."""

    __slots__ = ("abort", "close", "is_closing", "write")

    def __init__(self, connection: ClientConnection) -> None:
        transport = connection.transport
        # The transport's own methods: they are called for every piece of every answer.
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = connection.close_after_answer
        self.abort = connection.reset


class ClientConnection(HttpToolsProtocol):
    """One client's connection.

    Args:
        door: The limits, and the connections beside this one.
        config: Of uvicorn.
        server_state: Of uvicorn.
        app_state: Of the application's lifespan.
        loop: Of this process.
    """

    cycle: Any  # uvicorn's, or a `DirectCycle`

    def __init__(
        self,
        door: FrontDoor,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._door = door
        self._max_headers = door.limits.max_headers
        self._large = False
        """Whether more came at once than a head may have."""
        self._careful = True
        """Every header is to be checked as it comes: what was fed at once may exceed the limits, or it is a trailer."""
        self._max_header_bytes = door.limits.max_header_bytes
        self._exit: Any = None
        self._in_head = self._in_body = False
        self._deaf = False
        """Whatever comes now is thrown away."""
        self._parted = False
        """The last answer was given."""
        self._farewell = b""
        """The answer to a refused request, when those before it have theirs."""
        self._seen: set[bytes] = set()
        self._head_bytes = 0
        """Of the head or trailers so far: names and values that are complete."""
        self._carried_bytes = 0
        """That came while the head was incomplete, or the body without any of its data."""
        self._since = 0.0
        """When the present state began; of a body, when data last came."""
        self._unsent_bytes = 0
        self._unsent_since = 0.0
        self._direct: DirectCycle | None = None
        """What is served without ASGI just now."""
        self._receiving: DirectCycle | None = None
        self._whole: DirectCycle | None = None
        """Of which the request has come to its end in what is being parsed."""

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, if there is room."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._exit = _Exit(self)
        self._since = self.loop.time()
        if len(self.connections) - len(self._door.lingering) > self._door.max_connections:
            self._refuse(RefusedError(503, "connections", "too many connections; try again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._door.lingering.discard(self)
        if self._direct is not None:
            self._direct.disconnected = True
            self._direct.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._deaf:
            return
        self._large = len(data) > self._max_header_bytes
        if self._in_body:
            self._since = self.loop.time()
            self._carried_bytes += len(data)
        elif self._in_head:
            data = self._rest_after_head(data)
        if data and not self._deaf:
            self._feed(data)
        if self._in_body and self._carried_bytes > self._max_header_bytes and not self._deaf:
            self._refuse(malformed("the body's chunks have more around them than in them"))
        if self._whole is not None:
            # Only now: the parser is not to be in the middle of something, whatever is done with the request.
            self._direct, self._whole = self._whole, None
            self._direct.start()

    def _rest_after_head(self, data: bytes) -> bytes:
        """Feed no more of an incomplete head than it may have; return what is left to feed."""
        if not self._careful:
            self._careful = True
            self._head_bytes = sum(len(name) + len(value) + 4 for name, value in self.headers)
        room = self._max_header_bytes + _LINE_BYTES - self._carried_bytes
        self._carried_bytes += len(data)
        if len(data) <= room:
            return data
        self._feed(data[:room])
        if self._in_head and not self._deaf:
            self._refuse(too_many_bytes())
        return data[room:]

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            # The request is served as any other, and is the last one: what follows may be of another protocol.
            self._deaf = True
        except HttpParserError as error:
            reason = error.__context__
            if not isinstance(reason, RefusedError):
                reason = malformed("the request is not valid HTTP/1.1")
            self._refuse(reason)

    def resume_writing(self) -> None:
        """Note that the client has taken something."""
        self._unsent_bytes = 0
        super().resume_writing()
        if self._direct is not None:
            self._direct.client_takes_more()

    def shutdown(self) -> None:
        """Finish what is being answered, and be gentle with a client that is about to ask."""
        if self in self._door.lingering:
            self.transport.abort()
            return
        self._door.drain(self.loop)
        if self._answering:
            self.cycle.keep_alive = False

    # --- httptools' callbacks -----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._careful = self._large
        self._head_bytes = self._carried_bytes = 0
        self._seen.clear()
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is checked and dropped."""
        name = name.lower()
        if self._careful:
            self._check_size(name, value)
            if not self._in_head:
                check_trailer(name)
                return
        if name in SPECIAL:
            value = check_special(name, value, self._seen)
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
        self.headers.append((name, value))

    def _check_size(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._max_header_bytes:
            raise too_many_bytes()
        if len(self.headers) > self._max_headers:
            raise too_many_headers(self._max_headers)

    def on_headers_complete(self) -> None:
        """Check the head as a whole, and start the application, or queue the request behind the one before."""
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        if len(self.url) + self._head_bytes > self._max_header_bytes:
            raise too_many_bytes()
        if len(self.headers) > self._max_headers:
            raise too_many_headers(self._max_headers)
        check_head(version, method, self._seen)
        raw_path, query = read_target(self.url, method)
        path = raw_path.decode("ascii")
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise RefusedError(503, "pipelined", "too many requests on this connection wait for their answers")
        self._head_bytes = self._carried_bytes = 0
        self._in_head, self._in_body = False, True
        self._careful = True
        parser = self.parser
        keep_alive = version == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        path = urllib.parse.unquote(path) if "%" in path else path
        keep_alive = keep_alive and not self._door.draining
        self._begin_cycle(Head(version, method, raw_path, path, query, self.headers, keep_alive))

    def _begin_cycle(self, head: Head) -> None:
        is_free = self.cycle is None or self.cycle.response_complete
        entry: DirectEntry | None = getattr(self.app, "direct_entry", None)
        if entry is not None and is_free and head.version == "1.1":
            direct = entry.begin(self, head)
            if direct is not None:
                self.cycle = self._receiving = direct
                return
        self.cycle = self._asgi_cycle(head)
        app = cast(Any, answer_options) if head.raw_path == b"*" else self.app
        if is_free:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def _asgi_cycle(self, head: Head) -> RequestResponseCycle:
        kind = Http10Cycle if head.version == "1.0" else RequestResponseCycle
        return kind(
            scope=self._scope(head),
            transport=self._exit,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and head.version == "1.1",
            keep_alive=head.keep_alive,
            on_response=self.on_response_complete,
        )

    def _scope(self, head: Head) -> Any:
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers,
            "state": self.app_state.copy(),
        }

    def serve_over_asgi(self, before: DirectCycle, head: Head, app: ASGIApp | None = None) -> None:
        """Serve a request over ASGI of which the body is whole; what was begun is handed over to an application.

        Args:
            before: What the request was received for.
            head: Of the request.
            app: Goes on; the application itself unless given.
        """
        cycle = self._asgi_cycle(head)
        cycle.body, cycle.more_body, cycle.keep_alive = before.body, False, before.keep_alive
        cycle.message_event.set()
        self._direct = None
        if self.cycle is before:
            self.cycle = cycle
        self._start_asgi_task(cycle, cast(Any, app or self.app))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._carried_bytes = 0
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if self._receiving is not None:
            return  # of a limited length, and looked at when it is whole
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """End the body."""
        self._in_body = False
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.more_body = False
        if self._receiving is not None:
            self._whole, self._receiving = self._receiving, None
        else:
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say goodbye."""
        self.server_state.total_requests += 1
        if self._direct is not None:
            if self.cycle is self._direct:
                self.cycle = None  # an idle connection holds on to nothing of its last exchange
            self._direct = None
        if self._parted or self.transport.is_closing():
            return
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._farewell:
            self._part()

    # --- parting ------------------------------------------------------------------------------------------------------

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Of every answer."""
        return self.server_state.default_headers

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refused: RefusedError) -> None:
        """Answer and close, after the answers to the requests before; what the client sends from now on is not read."""
        self._deaf = True
        self._door.counters.refused[refused.reason] += 1
        if self._in_body and not self._answering:
            self._part()  # the request was answered before it was whole: a second answer would be to nothing
            return
        self._farewell = farewell(refused)
        if not self._answering:
            self._part()
        elif self._in_body:
            self._withdraw()

    def _withdraw(self) -> None:
        """Take back the request that is being received; where there is a queue, it is the last of it."""
        cycle = self.cycle
        cycle.disconnected = True  # for the application the client has left: the body will never be whole
        cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()
        elif cycle.response_started:
            self.reset()
        else:
            self._part()

    def _part(self) -> None:
        """Say the last word, and close when the client has heard it."""
        if self._parted:
            return
        self._deaf = self._parted = True
        self._since = self.loop.time()
        if self._farewell:
            self.transport.write(self._farewell)
        lingering = self._door.lingering
        if len(lingering) >= _MOST_LINGERING or self.transport.is_closing():
            self.transport.close()
            return
        if self.transport.can_write_eof():  # over TLS, the client knows by `connection: close`
            self.transport.write_eof()
        lingering.add(self)
        self.flow.resume_reading()

    def close_after_answer(self) -> None:
        """Close as an answer wants it; gently, where its request is still on the way."""
        if self._in_body:
            self._part()
        else:
            self.transport.close()

    def reset(self) -> None:
        """Close so that the client cannot take what it has for a whole answer."""
        with suppress(OSError, AttributeError):  # closed already, or no socket
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    # --- called by the door -------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Cut the client off if it has taken longer than it may; `now` is of the loop."""
        if self._takes_nothing(now):
            self._door.counters.refused["read_timeout"] += 1
            self.reset()
        elif self in self._door.lingering:
            if self.transport.get_write_buffer_size():
                self._since = now  # its answer is still on the way
            elif now - self._since > _LINGER_S:
                self.transport.abort()
        elif self.transport.is_closing() or self._deaf:
            return
        elif self.flow.read_paused:
            self._since = now  # it is we who do not read
        else:
            self._hold_limits(now - self._since)

    def _hold_limits(self, seconds: float) -> None:
        limits = self._door.limits
        if self._in_head:
            if seconds > limits.header_timeout_s:
                self._refuse(RefusedError(408, "header_timeout", "the headers took too long"))
        elif self._in_body:
            if seconds > limits.body_timeout_s:
                self._refuse(RefusedError(408, "body_timeout", "the body took too long"))
        elif not self._answering and seconds > limits.idle_timeout_s:
            self.transport.close()

    def _takes_nothing(self, now: float) -> bool:
        """Whether what waits to be sent has not become less for too long; looked at only while nothing is added."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or (self._answering and not self._parted and not self.flow.write_paused):
            self._unsent_bytes = 0
            return False
        if unsent != self._unsent_bytes:
            self._unsent_bytes, self._unsent_since = unsent, now
        return now - self._unsent_since > self._door.limits.read_timeout_s

    def close_if_idle(self) -> None:
        """Close unless a request is being received or answered."""
        if self in self._door.lingering or not (self._in_body or self._answering):
            self.transport.close()
