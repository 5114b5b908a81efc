"""The response cache: repeats of deterministic requests, from memory. Of one experiment in one proxy process.

Exact matches only. Answers to different users never mix: whatever tells one client from another is part of the key, and
an answer that says that it is not to be kept, or that sets a cookie, is not. Nothing outlives the process.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachetools import TTLCache

from experiments.config.records import Config
from experiments.config.serving import Cache

if TYPE_CHECKING:
    from router.plan import Request

RawHeaders = tuple[tuple[bytes, bytes], ...]
_KEYED = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"api-key",
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"cookie",
        b"openai-organization",
        b"openai-project",
        b"origin",
        b"x-api-key",
    }
)
"""Request headers that may change the answer, or who may have it."""
_NOT_KEPT = frozenset({b"no-store", b"no-cache", b"private"})
_ENTRY_BYTES = 512
"""What an entry costs beside its body and headers, roughly."""
_LARGEST_SHARE = 8
"""An answer that takes more than this part of the cache would push too many others out."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A complete answer that may be repeated."""

    status: int
    headers: RawHeaders
    """As they go to clients, without the exchange's id."""
    body: bytes
    stream: bool
    """Whether it came as a stream; repeated, it comes in one piece."""
    kept_at: float = field(default_factory=time.monotonic)
    """Monotonic time in seconds."""

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.body) + headers + _ENTRY_BYTES

    def headers_now(self) -> list[tuple[bytes, bytes]]:
        """Return its headers with its `age` in seconds, as HTTP wants of a repeated answer."""
        age_s = max(0, int(time.monotonic() - self.kept_at))
        return [*(h for h in self.headers if h[0] != b"age"), (b"age", str(age_s).encode())]


class ResponseCache:
    """The answers of one experiment. Used from one thread; the counters may be read from others.

    Args:
        settings: How long and how much.
        clock: Seconds that only rise.
    """

    def __init__(self, settings: Cache, clock: Callable[[], float] = time.monotonic) -> None:
        self.largest_bytes = settings.max_bytes // _LARGEST_SHARE
        """A larger answer is not kept."""
        self._kept: TTLCache[bytes, CachedAnswer] = TTLCache(
            settings.max_bytes, settings.ttl_s, clock, lambda answer: answer.size_bytes
        )
        self.hits: Counter[str] = Counter()
        """Variant -> requests that were answered."""
        self.misses: Counter[str] = Counter()
        """Variant -> requests that might have been, but no answer was kept."""
        self.bytes = 0
        """Size of the answers that are kept, as of the last use."""

    def __repr__(self) -> str:
        return f"<ResponseCache [{self.bytes} bytes, {self.hits.total()} hits, {self.misses.total()} misses]>"

    def get(self, key: bytes, variant: str) -> CachedAnswer | None:
        """Return the answer to a request, or None; counts either for the variant."""
        answer = self._kept.get(key)
        (self.misses if answer is None else self.hits)[variant] += 1
        return answer

    def put(self, key: bytes, answer: CachedAnswer) -> bool:
        """Keep an answer, in place of the least recently used ones; returns whether it is kept."""
        if answer.size_bytes > self.largest_bytes:
            return False
        self._kept[key] = answer
        self.bytes = int(self._kept.currsize)
        return True

    def fill(
        self, key: bytes, status: int, headers: Iterable[tuple[bytes, bytes]], *, stream: bool
    ) -> CacheFiller | None:
        """Begin to collect an answer, or return None if it must not be repeated.

        Args:
            key: Of the request.
            status: Of the answer; only 200 is kept.
            headers: For the client, without the exchange's id.
            stream: Whether the body comes as a stream.
        """
        kept = tuple((name.lower(), value) for name, value in headers)
        return CacheFiller(self, key, status, kept, stream=stream) if status == 200 and _may_be_kept(kept) else None


class CacheFiller:
    """Collects the pieces of one answer while they go to the client; too many of them are let go again."""

    __slots__ = ("_cache", "_headers", "_key", "_length", "_pieces", "_status", "_stream")

    def __init__(self, cache: ResponseCache, key: bytes, status: int, headers: RawHeaders, *, stream: bool) -> None:
        self._cache = cache
        self._key = key
        self._status = status
        self._headers = headers
        self._stream = stream
        self._pieces: list[bytes] | None = []
        self._length = 0

    def add(self, piece: bytes) -> None:
        """Take one piece of the body."""
        if self._pieces is None:
            return
        self._length += len(piece)
        if self._length > self._cache.largest_bytes:
            self._pieces = None
            return
        self._pieces.append(piece)

    def complete(self) -> bool:
        """Keep the answer: its last piece has come, and it did not break off. Returns whether it is kept."""
        if self._pieces is None:
            return False
        answer = CachedAnswer(self._status, self._headers, b"".join(self._pieces), self._stream)
        self._pieces = None
        return self._cache.put(self._key, answer)


def cache_key(variant: str, epoch: int, request: Request) -> bytes | None:
    """Return what a request must be equal in to get the same answer; None if it asks for a fresh one.

    Args:
        variant: That is to answer.
        epoch: A new configuration or build of a backend begins a new one: old answers are not its.
        request: With its whole body.
    """
    if not isinstance(request.body, bytes):
        return None
    digest = hashlib.blake2b(digest_size=32)
    kept = [part for pair in request.raw_headers if pair[0] in _KEYED for part in pair]
    if _tokens(request.raw_headers, b"cache-control") & _NOT_KEPT or b"range" in request.headers:
        return None
    for part in (
        variant.encode(),
        b"%d" % epoch,
        request.method.encode(),
        request.target.encode(),
        request.body,
        *kept,
    ):
        # The length in front, so that no two lists of parts read alike.
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _may_be_kept(headers: RawHeaders) -> bool:
    if any(name == b"set-cookie" for name, _ in headers) or _tokens(headers, b"cache-control") & _NOT_KEPT:
        return False
    # What the backend says to have looked at must be in the key.
    return _tokens(headers, b"vary") <= _KEYED


def _tokens(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> set[bytes]:
    values = [value for found, value in headers if found == name]
    return {token.partition(b"=")[0].strip().lower() for value in values for token in value.split(b",")} - {b""}


def build_caches(config: Config) -> dict[str, ResponseCache]:
    """Return the caches of a process: experiment -> cache, for those that ask for one."""
    return {name: ResponseCache(e.cache) for name, e in config.experiments.items() if e.cache is not None}
