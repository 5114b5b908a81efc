"""One backend: which endpoint gets a request, and an eye on answers that stall. The way there: `router.transports`."""

from __future__ import annotations

import time
from typing import Self

from multidict import CIMultiDict

from experiments.config.records import Backend, RouterSettings
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.transports.aiohttp_client import ClientTransport
from router.transports.base import Answer, Limits, Transport
from router.transports.http1 import Http1Transport

_REFUSED_S = 5.0
"""How long an endpoint that could not be connected to comes last."""


class Transports:
    """The transports that all backends of a process share, by the scheme of a URL.

    Args:
        settings: Timeouts, and whether aiohttp's client is to do it all.
    """

    def __init__(self, settings: RouterSettings) -> None:
        limits = Limits(settings.connect_timeout_s, settings.first_byte_timeout_s)
        client = ClientTransport(limits)
        plain: Transport = client if settings.http_transport == "aiohttp" else Http1Transport(limits)
        self._by_scheme: dict[str, Transport] = {"https": client, "http": plain}

    def of(self, url: str) -> Transport:
        """Return the transport of a base URL."""
        return self._by_scheme[url.partition("://")[0].lower()]

    async def close(self) -> None:
        """Close all connections."""
        for transport in self._by_scheme.values():
            await transport.close()


class Endpoint:
    """One URL of a backend, and how many requests are out to it."""

    __slots__ = ("outstanding", "refused_at", "transport", "url")

    def __init__(self, url: str, transport: Transport) -> None:
        self.url = url.rstrip("/")
        self.transport = transport
        self.outstanding = 0
        self.refused_at = float("-inf")
        """When it could last not be connected to, on the monotonic clock."""

    def __repr__(self) -> str:
        return f"<Endpoint {self.url} [{self.outstanding} outstanding]>"


class UpstreamResponse:
    """An answer of which the headers have come: a context that closes it, and in which only our errors are raised."""

    __slots__ = (
        "_answer",
        "_endpoint",
        "_open",
        "_seen_bytes",
        "_seen_bytes_at",
        "_stalled",
        "endpoint_url",
        "headers",
        "read",
        "status",
        "taken_bytes",
    )

    def __init__(self, answer: Answer, endpoint: Endpoint, open_answers: set[UpstreamResponse]) -> None:
        self._open = open_answers
        open_answers.add(self)
        self._answer = answer
        # The bare method, not a coroutine around it: every piece of every stream would pay for that frame.
        self.read = answer.read
        """Returns the next piece of the body, as it came; empty only after a complete body."""
        self.taken_bytes = 0
        """How much of the body its reader has, noted by the reader: what still waits is no silence of the backend."""
        self._seen_bytes = 0
        self._seen_bytes_at = time.monotonic()
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
        self.close()
        ours = self._answer.translate(error)
        if self._stalled and isinstance(ours, UpstreamError):
            raise UpstreamError(ErrorKind.TIMEOUT, "silent for too long inside a body") from error
        if ours is not None and ours is not error:
            raise ours from error

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End a body that has been silent for longer than the limit; `read` raises then.

        Looked at from outside, a few times within the limit: a clock read for every piece would cost more.
        """
        arrived = self._answer.arrived_bytes
        if arrived != self._seen_bytes or arrived > self.taken_bytes or self._answer.arrived_whole:
            self._seen_bytes, self._seen_bytes_at = arrived, now
        elif now - self._seen_bytes_at > limit_s:
            self._stalled = True
            self._answer.break_off()

    def close(self) -> None:
        """Give the connection back if the body is complete, else close it: nobody wants the rest."""
        self._endpoint.outstanding -= 1
        self._open.discard(self)
        self._answer.close()


class Upstream:
    """One backend.

    Args:
        backend: Its endpoints.
        transports: Shared by all backends of the process.
        between_bytes_timeout_s: Longest silence inside a body.
    """

    def __init__(self, backend: Backend, transports: Transports, between_bytes_timeout_s: float) -> None:
        self.name = backend.name
        self.protocol = backend.protocol
        self._endpoints = [Endpoint(url, transports.of(url)) for url in backend.urls]
        self._between_bytes_timeout_s = between_bytes_timeout_s
        self._open: set[UpstreamResponse] = set()

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self._endpoints}>"

    def _in_order(self) -> list[Endpoint]:
        """Return the endpoints, the least busy first; one that cannot be connected to has none out, and comes last."""
        if len(self._endpoints) == 1:
            return self._endpoints
        lately = time.monotonic() - _REFUSED_S
        return sorted(self._endpoints, key=lambda endpoint: (endpoint.refused_at > lately, endpoint.outstanding))

    async def open(self, method: str, target: str, headers: CIMultiDict[str], body: bytes) -> UpstreamResponse:
        """Send a request and wait for the response's headers.

        Args:
            method: The HTTP method.
            target: Path and query, as the client sent them.
            headers: Already cleaned for this hop.
            body: The whole body.

        Raises:
            UpstreamError: No response was had.
        """
        endpoints = self._in_order()
        for endpoint in endpoints[:-1]:
            try:
                return await self._open_at(endpoint, method, target, headers, body)
            except UpstreamError as error:
                # What was never connected to was never asked: another may be, without any doubt.
                if error.kind is not ErrorKind.CONNECT:
                    raise
        return await self._open_at(endpoints[-1], method, target, headers, body)

    async def _open_at(
        self, endpoint: Endpoint, method: str, target: str, headers: CIMultiDict[str], body: bytes
    ) -> UpstreamResponse:
        endpoint.outstanding += 1
        try:
            answer = await endpoint.transport.open(endpoint.url, method, target, headers, body)
        except BaseException as error:
            endpoint.outstanding -= 1
            if isinstance(error, UpstreamError) and error.kind is ErrorKind.CONNECT:
                endpoint.refused_at = time.monotonic()
            raise
        return UpstreamResponse(answer, endpoint, self._open)

    def sweep(self, now: float) -> None:
        """Break off the bodies that have stalled."""
        for answer in list(self._open):
            answer.break_off_if_stalled(now, self._between_bytes_timeout_s)
