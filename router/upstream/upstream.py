"""One backend: which of its endpoints gets a request."""

from __future__ import annotations

import ssl
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pydantic import SecretStr

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import BackendTls
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.headers import BackendHeaders, replaced
from router.upstream.endpoint import Endpoint, Stalling, UpstreamResponse
from router.upstream.transports.aiohttp_client import ClientTransport
from router.upstream.transports.base import Body, Limits, Transport
from router.upstream.transports.http1 import Http1Transport, Origin, request_head
from router.upstream.transports.http1_connection import Connection

__all__ = ["Transports", "Upstream", "UpstreamResponse"]


class CertificateError(Exception):
    """The certificates to trust cannot be used; the message says which file and why."""


def trust_of(tls: BackendTls) -> ssl.SSLContext | bool:
    """Return how `https://` backends are verified, in the form that aiohttp wants.

    Raises:
        CertificateError: The file of certificates cannot be read.
    """
    if not tls.verify:
        return False
    if tls.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(tls.ca))
    except OSError as error:  # of which ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise CertificateError(f"the certificates in {tls.ca} cannot be used: {reason}") from error


class Transports:
    """The transports that all backends of a process share, by the scheme of a URL and whom they trust.

    Args:
        settings: Timeouts, and whether aiohttp's client is to do it all.
    """

    def __init__(self, settings: RouterSettings) -> None:
        self._limits = Limits(settings.connect_timeout_s, settings.first_byte_timeout_s)
        self._trusting: dict[BackendTls, Transport] = {}
        client = self._client(BackendTls())
        self._plain: Transport = client if settings.http_transport == "aiohttp" else Http1Transport(self._limits)

    def of(self, url: str, tls: BackendTls | None = None) -> Transport:
        """Return the transport of a base URL.

        Raises:
            CertificateError: The certificates to trust cannot be used.
        """
        is_plain = url.partition("://")[0].lower() == "http"
        return self._plain if is_plain else self._client(tls or BackendTls())

    def _client(self, tls: BackendTls) -> Transport:
        if tls not in self._trusting:
            self._trusting[tls] = ClientTransport(self._limits, trust_of(tls))
        return self._trusting[tls]

    async def close(self) -> None:
        """Close all connections."""
        for transport in {self._plain, *self._trusting.values()}:
            await transport.close()


class KeptConnection(NamedTuple):
    """A connection that is free, taken out for one request, and what is to be known for that."""

    upstream: Upstream
    endpoint: Endpoint
    connection: Connection
    origin: Origin
    headers: BackendHeaders
    ticket: int
    """For `Endpoint.end`."""

    def head(self, method: str, target: str, body: bytes) -> bytes:
        """Return the head of a request."""
        return request_head(self.origin, method, target, self.headers, body)


class Upstream:
    """One backend.

    Args:
        backend: Its endpoints, and when they are left out.
        transports: Shared by all backends of the process.
        between_bytes_timeout_s: Longest silence inside a body.
        api_key: Shown to the backend in place of what the client showed.

    Raises:
        CertificateError: The certificates to trust cannot be used.
    """

    def __init__(
        self,
        backend: Backend,
        transports: Transports,
        between_bytes_timeout_s: float,
        api_key: SecretStr | None = None,
    ) -> None:
        self.name = backend.name
        self.protocol = backend.protocol
        self.endpoints = [
            Endpoint(
                *(backend.name, url, transports.of(url, backend.tls), backend.ejection, backend.max_outstanding),
                is_spot=backend.is_spot(url),
            )
            for url in backend.urls
        ]
        self.has_spot = backend.spot is not None
        """Whether some endpoints are spot instances."""
        self.sent_again = 0
        """Requests that were sent to another endpoint after a spot instance had broken off."""
        self.last_used_at = time.monotonic()
        """When a request last went out, on the monotonic clock."""
        self._between_bytes_timeout_s = between_bytes_timeout_s
        self._api_key = api_key
        self._turn = 0
        self._drained: frozenset[str] = frozenset()
        self._noticed = False
        self._ending: set[str] = set()
        self.open_answers: set[Stalling] = set()
        """Swept for those that stall."""

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self.endpoints}>"

    @property
    def has_room_to_spare(self) -> bool:
        """Whether a request that could as well not be sent would take no room from one that must be."""
        return any(endpoint.has_room_to_spare for endpoint in self.endpoints)

    def drain(self, urls: Collection[str]) -> None:
        """Leave out these endpoints, and only these, from now on; what is out to them goes on."""
        self._drained = frozenset(urls)
        self._apply_drains()

    def note_termination(self, noticed: bool) -> None:  # noqa: FBT001  # a callback
        """Leave out all endpoints while there is a notice of termination."""
        self._noticed = noticed
        self._apply_drains()

    def note_termination_of(self, url: str, noticed: bool) -> None:  # noqa: FBT001  # a callback
        """Leave out one endpoint while there is a notice of its termination."""
        (self._ending.add if noticed else self._ending.discard)(url.rstrip("/"))
        self._apply_drains()

    def _apply_drains(self) -> None:
        for endpoint in self.endpoints:
            endpoint.drained = self._noticed or endpoint.url in self._drained or endpoint.url in self._ending

    def may_send_again(self, error: UpstreamError) -> bool:
        """Whether a request that failed before its first byte may be sent to another endpoint of this backend.

        Only where spot instances are: whoever configures them knows that they end in the middle of things.
        """
        if not self.has_spot or error.kind is not ErrorKind.RESET:
            return False
        now = time.monotonic()
        return any(endpoint.is_available(now) and not endpoint.breaker.is_suspect(now) for endpoint in self.endpoints)

    async def open(
        self, method: str, target: str, headers: BackendHeaders, body: Body, *, last_resort: bool = False
    ) -> UpstreamResponse:
        """Send a request and wait for the response's headers.

        Args:
            method: The HTTP method.
            target: Path and query, as the client sent them.
            headers: Already cleaned for this hop.
            body: The whole body.
            last_resort: Nobody else is left to ask: rather than none, ask an endpoint that is thought to be down.

        Raises:
            UpstreamError: No response was had.
            OverloadedError: This process has no file descriptor left.
        """
        now = self.last_used_at = time.monotonic()
        headers = self._own(headers)
        *others, last = self._in_order(now, last_resort=last_resort)
        for endpoint in others:
            try:
                return await self._open_at(endpoint, now, method, target, headers, body)
            except UpstreamError as error:
                # What was never connected to was never asked: another may be, without any doubt.
                if error.kind is not ErrorKind.CONNECT:
                    raise
        return await self._open_at(last, now, method, target, headers, body)

    async def open_at(
        self, endpoint: Endpoint, method: str, target: str, headers: BackendHeaders, body: bytes
    ) -> UpstreamResponse:
        """Send a request to one endpoint and to no other, whatever is thought of it.

        Raises:
            UpstreamError: No response was had.
            OverloadedError: This process has no file descriptor left.
        """
        now = self.last_used_at = time.monotonic()
        return await self._open_at(endpoint, now, method, target, self._own(headers), body)

    def kept_connection(self, headers: BackendHeaders) -> KeptConnection | None:
        """Take out a free connection to the endpoint whose turn it is, if it is one in the clear that has any.

        Args:
            headers: Of the request, already cleaned for this hop.
        """
        now, turn = time.monotonic(), self._turn
        try:
            endpoint = self._in_order(now, last_resort=False)[0]
        except UpstreamError:
            self._turn = turn
            return None
        transport = endpoint.transport
        if isinstance(transport, Http1Transport):
            origin = transport.origin(endpoint.url)
            connection = transport.kept(origin)
            if connection is not None:
                self.last_used_at = now
                return KeptConnection(self, endpoint, connection, origin, self._own(headers), endpoint.begin(now))
        self._turn = turn
        return None

    def _own(self, headers: BackendHeaders) -> BackendHeaders:
        """Return headers with the backend's key in the place of the client's."""
        if self._api_key is None:
            return headers
        return replaced(headers, b"authorization", f"Bearer {self._api_key.get_secret_value()}".encode())

    def _in_order(self, now: float, *, last_resort: bool) -> Sequence[Endpoint]:
        """Return the endpoints that may be asked, the least busy first; those alike take turns.

        Raises:
            UpstreamError: There are none.
        """
        endpoints = self.endpoints
        if len(endpoints) == 1 and endpoints[0].is_available(now):
            return endpoints
        self._turn = (self._turn + 1) % len(endpoints)
        turned = endpoints[self._turn :] + endpoints[: self._turn]
        found = [endpoint for endpoint in turned if endpoint.is_available(now)]
        if not found:
            return self._for_want_of_better(turned, last_resort=last_resort)
        # Spot instances, which cost less, before those on demand; without any, they are all alike.
        has_spot = self.has_spot
        return sorted(found, key=lambda e: (e.breaker.is_suspect(now), has_spot and not e.is_spot, e.outstanding))

    def _for_want_of_better(self, endpoints: list[Endpoint], *, last_resort: bool) -> list[Endpoint]:
        undrained = [endpoint for endpoint in endpoints if not endpoint.drained]
        if not undrained:
            raise UpstreamError(ErrorKind.DRAINED, "all endpoints are drained")
        found = [endpoint for endpoint in undrained if endpoint.has_room] if last_resort else []
        if not found:
            raise UpstreamError(ErrorKind.UNAVAILABLE, "no endpoint may be asked right now")
        return sorted(found, key=lambda endpoint: endpoint.outstanding)

    async def _open_at(
        self, endpoint: Endpoint, now: float, method: str, target: str, headers: BackendHeaders, body: Body
    ) -> UpstreamResponse:
        ticket = endpoint.begin(now)
        try:
            answer = await endpoint.transport.open(endpoint.url, method, target, headers, body)
        except UpstreamError as error:
            # A request that broke off on its client's side says nothing of the endpoint.
            failed = None if getattr(body, "error", None) is not None else True
            endpoint.end(ticket, failed=failed, refused=error.kind is ErrorKind.CONNECT)
            raise
        except BaseException:
            endpoint.end(ticket, failed=None)
            raise
        return UpstreamResponse(answer, endpoint, ticket, self.open_answers)

    def sweep(self, now: float) -> None:
        """Break off the bodies that have stalled."""
        for answer in list(self.open_answers):
            answer.break_off_if_stalled(now, self._between_bytes_timeout_s)
