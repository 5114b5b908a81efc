"""The edge of a golden run: sends each item to both variants, past the proxy, and brings back what they answered.

A backend that is away is a result, not an error: its items have failed. Nothing of an item's text is logged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import aiohttp
import structlog
from pydantic import SecretStr

from experiments.config.serving import Backend
from experiments.golden.runs import Planned, Said
from experiments.protocols import protocol
from router.shadow import is_failure
from router.upstream.upstream import trust_of

_log = structlog.get_logger(__name__)
_HEADERS = {"content-type": "application/json", "accept": "*/*", "user-agent": "touchstone-golden"}
_CHATS = {"openai": "/v1/chat/completions", "ollama": "/api/chat"}
_ATTEMPTS = 3
_LONGEST_WAIT_S = 5.0
"""A `Retry-After` beyond it is cut: the run must end."""
_MOST_ANSWER_BYTES = 4 * 1024 * 1024
Answers = dict[str, dict[str, Said]]
"""Id of an item -> variant -> what it answered."""
Progress = Callable[[int, int], object]
"""Takes how many items are done, and of how many."""


class GoldenLimits(NamedTuple):
    """How a run goes about it."""

    concurrency: int = 4
    """Items on their way at a time; each is one request, its two variants are asked one after the other."""
    connect_timeout_s: float = 2.0
    total_timeout_s: float = 60.0
    """Of one attempt, to the last byte."""
    first_wait_s: float = 0.25
    """Before the second attempt; twice as long before the third. `Retry-After` goes before."""


class Target:
    """One variant's backend.

    Args:
        backend: Its endpoints take turns.
        path: Where items are posted: the path that the experiment matches, or None for the protocol's chats.
        api_key: Sent as bearer token.

    Raises:
        ValueError: There is no path, and the protocol has none for chats.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """

    def __init__(self, backend: Backend, path: str | None = None, api_key: SecretStr | None = None) -> None:
        path = path or _CHATS.get(backend.protocol)
        if path is None:
            raise ValueError(f"items for {backend.name} ({backend.protocol}) need a path: match one in the experiment")
        self._urls = cycle([url.rstrip("/") + path for url in backend.urls])
        self.read = protocol(backend.protocol).answer
        self.trust = trust_of(backend.tls)
        self.headers = dict(_HEADERS)
        if api_key is not None:
            self.headers["authorization"] = f"Bearer {api_key.get_secret_value()}"

    def next_url(self) -> str:
        """Return the endpoint whose turn it is; a second attempt reaches another one, if there is one."""
        return next(self._urls)


class GoldenClient:
    """Runs golden sets.

    Args:
        targets: Variant -> where its items go.
        limits: How many at a time, and for how long.
    """

    def __init__(self, targets: Mapping[str, Target], limits: GoldenLimits | None = None) -> None:
        self._targets = dict(targets)
        self._limits = limits or GoldenLimits()

    async def run(self, planned: Sequence[Planned], progress: Progress = lambda _done, _total: None) -> Answers:
        """Ask everything; ends in a bounded time and raises nothing for a backend.

        Args:
            planned: The items, in the order in which they are to go out.
            progress: Called after each item.
        """
        answers: Answers = {}
        waiting = iter(planned)
        timeout = aiohttp.ClientTimeout(total=self._limits.total_timeout_s, connect=self._limits.connect_timeout_s)
        # A connection for each request: one that is kept may be closed by the backend just as the next item goes out.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        jar = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, cookie_jar=jar) as session,
            asyncio.TaskGroup() as group,
        ):

            async def work() -> None:
                # Workers share one iterator: never more than so many items are out, and none is held by a queue.
                for one in waiting:
                    answers[one.item.id] = {variant: await self._ask(session, variant, one) for variant in one.order}
                    progress(len(answers), len(planned))

            for _ in range(min(self._limits.concurrency, len(planned))):
                group.create_task(work())
        failed = {v: sum(bool(said[v].error) for said in answers.values()) for v in self._targets}
        _log.info("golden_run_asked", items=len(answers), failed=failed)
        return answers

    async def _ask(self, session: aiohttp.ClientSession, variant: str, one: Planned) -> Said:
        target = self._targets[variant]
        said = Said(error="not asked", attempts=0)
        for attempt in range(1, _ATTEMPTS + 1):
            said, wait_s = await self._try(session, target, one.body, attempt)
            if wait_s is None or attempt == _ATTEMPTS:
                break
            await asyncio.sleep(wait_s)
        return said

    async def _try(
        self, session: aiohttp.ClientSession, target: Target, body: bytes, attempt: int
    ) -> tuple[Said, float | None]:
        """Ask once; returns what came, and after how many seconds it is worth another attempt (None: it is not)."""
        started_at = time.monotonic()
        wait_s = _jittered(self._limits.first_wait_s * 2 ** (attempt - 1))
        try:
            async with session.post(
                target.next_url(), data=body, headers=target.headers, ssl=target.trust, allow_redirects=False
            ) as response:
                if is_failure(response.status):
                    asked_s = _retry_after_s(response.headers.get("retry-after", ""))
                    return _none(f"status {response.status}", attempt), wait_s if asked_s is None else asked_s
                if response.status != 200:
                    return _none(f"status {response.status}", attempt), None
                text = await _text(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return _none("connect", attempt), wait_s
        except TimeoutError:
            return _none("timeout", attempt), None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class only: a message may quote what the backend sent.
            return _none(type(error).__name__, attempt), None
        return _said(target, text, (time.monotonic() - started_at) * 1e3, attempt), None


def _said(target: Target, text: str | None, latency_ms: float, attempt: int) -> Said:
    if text is None:
        return _none("answer too long", attempt)
    answered = target.read(text)
    if answered.finish_reason == "error":
        return _none("stream broken off", attempt)
    if answered.text is None:
        return _none("no text in the answer", attempt)
    return Said(text=answered.text, latency_ms=latency_ms, attempts=attempt)


async def _text(response: aiohttp.ClientResponse) -> str | None:
    """Return the body; None if it is too long to be an answer."""
    pieces = bytearray()
    async for piece in response.content.iter_any():
        pieces += piece
        if len(pieces) > _MOST_ANSWER_BYTES:
            return None
    return pieces.decode("utf-8", "replace")


def _none(error: str, attempt: int) -> Said:
    return Said(error=error, attempts=attempt)


def _retry_after_s(value: str) -> float | None:
    """Read `Retry-After` in seconds, cut to what a run can wait; None for a date or nonsense."""
    return min(float(value), _LONGEST_WAIT_S) if value.isascii() and value.isdigit() else None


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311  # keeps no secret
