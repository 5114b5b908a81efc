"""aiohttp's client as a transport, and the one place where its errors are translated.

It adds, decodes and remembers nothing of its own: what a backend gets is what the client sent.
"""

from __future__ import annotations

from io import BytesIO
from ssl import SSLContext
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.headers import BackendHeaders
from router.upstream.transports.base import Body, Limits, refuse_if_exhausted

_FAILURES = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError)
_ONE_PIECE_BYTES = 2**20
_NO_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_REMEMBERED_URLS = 1_000

_VERSIONS = (aiohttp.HttpVersion10, aiohttp.HttpVersion11)


class ClientAnswer:
    """An answer of aiohttp's client."""

    __slots__ = ("_content", "_response", "headers", "read", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        # The bare method, not a coroutine around it: every piece of every stream would pay for that frame.
        self.read = response.content.readany
        self.status = response.status
        self.headers = tuple((name.lower(), value) for name, value in response.raw_headers)

    @property
    def arrived_bytes(self) -> int:
        """Length of the body that has arrived so far."""
        return self._content.total_bytes

    @property
    def arrived_whole(self) -> bool:
        """Whether all of the body has arrived, read or not."""
        return self._content.is_eof()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def break_off(self) -> None:
        """Close the connection; a waiting `read` raises."""
        self._response.close()

    def translate(self, error: BaseException | None) -> BaseException | None:
        """Return an error of aiohttp's as ours, and any other as it is."""
        return translate(error) if isinstance(error, _FAILURES) else error


class ClientTransport:
    """Requests through one aiohttp session.

    Args:
        limits: How long to wait.
        trust: How certificates are verified; True as the system does, False not at all.
    """

    def __init__(self, limits: Limits, trust: SSLContext | bool = True) -> None:  # noqa: FBT001, FBT002  # aiohttp's form
        self._urls: dict[tuple[str, str], URL] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, ssl=trust),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_s, sock_read=limits.first_byte_s),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NO_AUTO_HEADERS,
            trust_env=False,
            max_line_size=65_536,
            max_field_size=65_536,
        )

    async def open(self, base_url: str, method: str, target: str, headers: BackendHeaders, body: Body) -> ClientAnswer:
        """Send a request and wait for the response's headers.

        Raises:
            UpstreamError: No response was had.
        """
        data: Any = _payload(body) if isinstance(body, bytes) else body
        sent = CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in headers)
        if not isinstance(body, bytes) and body.length is not None:
            sent["content-length"] = str(body.length)
        try:
            response = await self._session.request(
                method, self._url(base_url, target), headers=sent, data=data, allow_redirects=False
            )
        except _FAILURES as error:
            refuse_if_exhausted(error)
            raise translate(error) from error
        if response.version not in _VERSIONS:
            response.close()
            raise UpstreamError(ErrorKind.MALFORMED, "the answer is not HTTP/1.1")
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            # aiohttp would set a timer anew for every piece of a stream; `Upstream.sweep` watches all bodies with one.
            connection.protocol.read_timeout = None
        return ClientAnswer(response)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _url(self, base_url: str, target: str) -> URL:
        """Return the URL of a target; parsed once for each of the few paths that model traffic has."""
        key = (base_url, target)
        url = self._urls.get(key)
        if url is None:
            if len(self._urls) > _REMEMBERED_URLS:
                self._urls.clear()
            url = self._urls[key] = URL(base_url + target, encoded=True)
        return url


def _text(value: bytes) -> str:
    """Return a header's value as aiohttp wants it, which writes UTF-8: what is none does not go as it came."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


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
