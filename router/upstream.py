"""One backend: endpoint choice, connection pool, timeouts, and the one place where aiohttp's errors are translated."""

from __future__ import annotations

import time
from io import BytesIO

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from experiments.config.records import Backend, RouterSettings
from experiments.model import ErrorKind
from router.errors import UpstreamError

_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError)
_ONE_PIECE_BYTES = 2**20
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def open_session(settings: RouterSettings) -> aiohttp.ClientSession:
    """Return the session that all backends of a process share; it adds, decodes and remembers nothing of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_timeout_s, sock_read=settings.first_byte_timeout_s
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NO_AUTO_HEADERS,
        trust_env=False,
        max_line_size=65_536,
        max_field_size=65_536,
    )


class Endpoint:
    """One URL of a backend, and how many requests are out to it."""

    __slots__ = ("outstanding", "url")

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.outstanding = 0

    def __repr__(self) -> str:
        return f"<Endpoint {self.url} [{self.outstanding} outstanding]>"


class UpstreamResponse:
    """An answer of which the headers have come."""

    __slots__ = (
        "_endpoint",
        "_open",
        "_read",
        "_response",
        "_stalled",
        "_waiting_since",
        "endpoint_url",
        "headers",
        "status",
    )

    def __init__(
        self, response: aiohttp.ClientResponse, endpoint: Endpoint, open_answers: set[UpstreamResponse]
    ) -> None:
        self._open = open_answers
        open_answers.add(self)
        self._response = response
        self._read = response.content.readany
        self._waiting_since = time.monotonic()
        self._stalled = False
        self._endpoint = endpoint
        self.endpoint_url = endpoint.url
        self.status = response.status
        self.headers = response.raw_headers

    async def read(self) -> bytes:
        """Return the next piece of the body, as it came; empty only after a complete body.

        Raises:
            UpstreamError: The body broke off, or stalled.
        """
        self._waiting_since = time.monotonic()
        try:
            return await self._read()
        except _FAILURES as error:
            if self._stalled:
                raise UpstreamError(ErrorKind.TIMEOUT, "silent for too long inside a body") from error
            raise translate(error) from error

    def break_off_if_stalled(self, now: float, limit_s: float) -> None:
        """End a body that has been silent for longer than the limit; `read` raises then."""
        if now - self._waiting_since > limit_s and not self._response.content.is_eof():
            self._stalled = True
            self._response.close()

    def close(self) -> None:
        """Give the connection back if the body is complete, else close it: nobody wants the rest."""
        self._endpoint.outstanding -= 1
        self._open.discard(self)
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Upstream:
    """One backend.

    Args:
        backend: Its endpoints.
        session: Shared by all backends of the process.
        between_bytes_timeout_s: Longest silence inside a body.
    """

    def __init__(self, backend: Backend, session: aiohttp.ClientSession, between_bytes_timeout_s: float) -> None:
        self.name = backend.name
        self.protocol = backend.protocol
        self._endpoints = [Endpoint(url) for url in backend.urls]
        self._session = session
        self._between_bytes_timeout_s = between_bytes_timeout_s
        self._urls: dict[tuple[str, str], URL] = {}
        self._open: set[UpstreamResponse] = set()

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self._endpoints}>"

    def _choose(self) -> Endpoint:
        if len(self._endpoints) == 1:
            return self._endpoints[0]
        return min(self._endpoints, key=lambda endpoint: endpoint.outstanding)

    def _url(self, endpoint: Endpoint, target: str) -> URL:
        """Return the URL of a target; parsed once for each of the few paths that model traffic has."""
        key = (endpoint.url, target)
        url = self._urls.get(key)
        if url is None:
            if len(self._urls) > 1_000:
                self._urls.clear()
            url = self._urls[key] = URL(endpoint.url + target, encoded=True)
        return url

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
        endpoint = self._choose()
        endpoint.outstanding += 1
        try:
            response = await self._session.request(
                method, self._url(endpoint, target), headers=headers, data=_payload(body), allow_redirects=False
            )
        except BaseException as error:
            endpoint.outstanding -= 1
            if isinstance(error, _FAILURES):
                raise translate(error) from error
            raise
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            # aiohttp would set a timer anew for every piece of a stream; the sweep below watches all bodies with one.
            connection.protocol.read_timeout = None
        return UpstreamResponse(response, endpoint, self._open)

    def sweep(self, now: float) -> None:
        """Break off the bodies that have stalled."""
        for answer in list(self._open):
            answer.break_off_if_stalled(now, self._between_bytes_timeout_s)


def _payload(body: bytes) -> bytes | BytesIO | None:
    """Large bodies as a file: aiohttp then writes them in pieces instead of holding the loop with one."""
    if not body:
        return None
    return body if len(body) <= _ONE_PIECE_BYTES else BytesIO(body)


def translate(error: BaseException) -> UpstreamError:
    """Turn an error of aiohttp into ours; the most specific class wins."""
    return UpstreamError(_kind(error), str(error) or type(error).__name__)


def _kind(error: BaseException) -> ErrorKind:
    if isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError)):
        return ErrorKind.CONNECT
    if isinstance(error, TimeoutError):
        return ErrorKind.TIMEOUT
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.InvalidURL)):
        return ErrorKind.MALFORMED
    if isinstance(error, aiohttp.ClientPayloadError) and isinstance(error.__cause__, HttpProcessingError):
        # A body that just ends is reported like one with a wrong chunk, but in other words.
        return ErrorKind.RESET if "Not enough data" in str(error.__cause__) else ErrorKind.MALFORMED
    return ErrorKind.RESET
