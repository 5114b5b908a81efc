"""What a client asked, and what is to be done with it: records that the proxy fills and the exchange carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from experiments.protocols import Protocol
from router.cache import ResponseCache
from router.front.bodies import StreamedBody
from router.headers import BackendHeaders
from router.routes import Headers
from router.telemetry.tracing import Span
from router.upstream.upstream import Upstream


@dataclass(slots=True)
class Request:
    """What the client asked, read once."""

    method: str
    path: str
    target: str
    """Path and query, as they came."""
    headers: Headers
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes | StreamedBody = b""

    @property
    def known_body(self) -> bytes:
        """As much of the body as is there to be looked at."""
        return self.body if isinstance(self.body, bytes) else self.body.head


@dataclass(slots=True)
class Plan:
    """Where a request goes, and what to do if that fails."""

    upstream: Upstream
    protocol: Protocol
    fields: dict[str, Any]
    """Known fields of its exchange."""
    capture_bytes: int
    """How much of the answer is kept."""
    fallback: Upstream | None = None
    """Who answers if the assigned backend fails before its first byte."""
    mirror: Upstream | None = None
    headers: BackendHeaders = field(default_factory=list)
    """For the backend."""
    expose_variant: bool = False
    """Whether the client is told which variant it got."""
    cache: ResponseCache | None = None
    """Where the answer may come from, and is kept."""
    cache_key: bytes = b""
    span: Span | None = None
    """If the exchange is traced."""
