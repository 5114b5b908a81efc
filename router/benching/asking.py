"""The edge of a benchmark: sends items to one variant or to both, past the proxy, and clocks what comes back.

No request is sent twice: a second attempt would hide a failure and blur a latency. So each has a connection of its own,
because one that is kept may be closed by the server just as the next request goes out (llama.cpp closes each after a
stream); the clock starts when the connection is there, so no latency is that of a handshake.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
import msgspec

from experiments.benching.samples import Sample, blocks
from experiments.benching.vectors import vector_in
from experiments.golden.items import GoldenItem
from experiments.model import CONTROL, TREATMENT
from router.golden.client import Target

Progress = Callable[[int, int], object]
"""Takes how many items are done, and of how many."""
_MOST_ANSWER_BYTES = 16 * 1024 * 1024
_STREAMS = ("text/event-stream", "application/x-ndjson")


class Asking(NamedTuple):
    """How a benchmark goes about it."""

    concurrency: int = 1
    """Requests in flight."""
    warmup: int = 5
    """Requests to each variant that are not counted: the first ones load pages and fill caches."""
    connect_timeout_s: float = 2.0
    total_timeout_s: float = 60.0
    """Of one request, to the last byte."""
    seed: int = 1
    """Of the order."""
    model: str | None = None
    """Goes into requests that name none."""
    fields: Mapping[str, Any] = {}
    """Go into every request, over its own."""
    embeddings: bool = False
    """Whether an answer that is a tensor of numbers is an embedding."""


async def ask_pair(
    targets: Mapping[str, Target],
    items: Sequence[GoldenItem],
    asking: Asking,
    progress: Progress = lambda _done, _total: None,
    when_warm: Callable[[], object] = lambda: None,
) -> dict[str, dict[str, Sample]]:
    """Ask both variants everything; raises nothing for a backend.

    Args:
        targets: Variant -> where its items go.
        items: The golden set.
        asking: How.
        progress: Called after each block with how many items both have answered.
        when_warm: Called before the first request that counts.
    """
    samples: dict[str, dict[str, Sample]] = {CONTROL: {}, TREATMENT: {}}
    done = 0
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(_session(asking, target)) for name, target in targets.items()}
        for variant, session in clients.items():
            await _ask_all(session, targets[variant], items[: asking.warmup], asking)
        when_warm()
        for block in blocks(items, asking.concurrency, random.Random(asking.seed)):  # noqa: S311  # an order, no secret
            for variant in block.order:
                samples[variant] |= await _ask_all(clients[variant], targets[variant], block.items, asking)
            done += len(block.items)
            progress(done, len(items))
    return samples


async def ask_one_variant(
    target: Target, items: Sequence[GoldenItem], asking: Asking, on_answer: Callable[[], object] = lambda: None
) -> dict[str, Sample]:
    """Ask one variant everything, without warm-up: for prototypes, and for a model alone.

    Args:
        target: Where the items go.
        items: The golden set.
        asking: How.
        on_answer: Called after each answer.

    Raises:
        ValueError: The concurrency is below 1.
    """
    if asking.concurrency < 1:
        raise ValueError(f"concurrency == {asking.concurrency!r}, must be >= 1")
    async with _session(asking, target) as session:
        return await _ask_all(session, target, items, asking, on_answer)


def body_of(item: GoldenItem, asking: Asking) -> bytes:
    """Return an item's request as it goes out.

    >>> from experiments.golden.expectations import Expected
    >>> item = GoldenItem(id="a", request={"input": "hello"}, expected=Expected(label="greeting"))
    >>> body_of(item, Asking(model="m", fields={"stream": True}))
    b'{"model":"m","input":"hello","stream":true}'
    """
    named = {} if asking.model is None or "model" in item.request else {"model": asking.model}
    return msgspec.json.encode({**named, **item.request, **asking.fields})


def _session(asking: Asking, target: Target) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=asking.total_timeout_s, sock_connect=asking.connect_timeout_s)
    clock = aiohttp.TraceConfig()
    clock.on_connection_create_end.append(_start)
    return aiohttp.ClientSession(
        timeout=timeout,
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=target.headers,
        trace_configs=[clock],
    )


@dataclass
class _Clock:
    """When a request could go out."""

    started_at: float


async def _start(_session: aiohttp.ClientSession, trace: Any, _params: aiohttp.TraceConnectionCreateEndParams) -> None:
    """Start the clock of a request: its connection is there."""
    trace.trace_request_ctx.started_at = time.perf_counter()


async def _ask_all(
    session: aiohttp.ClientSession,
    target: Target,
    items: Sequence[GoldenItem],
    asking: Asking,
    on_answer: Callable[[], object] = lambda: None,
) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    waiting = iter(items)

    async def work() -> None:
        # Workers share one iterator: never more than so many requests are out.
        for item in waiting:
            found[item.id] = await _ask(session, target, body_of(item, asking), embeddings=asking.embeddings)
            on_answer()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(asking.concurrency, len(items))):
            group.create_task(work())
    return found


async def _ask(session: aiohttp.ClientSession, target: Target, body: bytes, *, embeddings: bool) -> Sample:
    clock = _Clock(time.perf_counter())
    try:
        async with session.post(
            target.next_url(), data=body, ssl=target.trust, allow_redirects=False, trace_request_ctx=clock
        ) as response:
            if response.status != 200:
                return Sample(error=f"status {response.status}")
            text, first_at = await _read(response, target)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        return Sample(error="connect")
    except TimeoutError:
        return Sample(error="timeout")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The class only: a message may quote what the backend sent.
        return Sample(error=type(error).__name__)
    if text is None:
        return Sample(error="answer too long")
    timed = Sample(
        begun_s=clock.started_at,
        latency_ms=(time.perf_counter() - clock.started_at) * 1e3,
        first_ms=None if first_at is None else (first_at - clock.started_at) * 1e3,
    )
    return _filled(timed, target, text, embeddings=embeddings)


async def _read(response: aiohttp.ClientResponse, target: Target) -> tuple[str | None, float | None]:
    """Return the body (None if it is too long to be an answer), and when a stream's first piece of text was there."""
    pieces, first_at = bytearray(), None
    streamed = response.content_type in _STREAMS
    async for piece in response.content.iter_any():
        pieces += piece
        if len(pieces) > _MOST_ANSWER_BYTES:
            return None, first_at
        # The first event of a stream often carries a role and no text.
        if streamed and first_at is None and target.read(pieces.decode("utf-8", "replace")).text:
            first_at = time.perf_counter()
    return pieces.decode("utf-8", "replace"), first_at


def _filled(timed: Sample, target: Target, text: str, *, embeddings: bool) -> Sample:
    """Return a sample with its answer, or why there is none."""
    answered = target.read(text)
    if answered.finish_reason == "error":
        return Sample(error="stream broken off")
    vector = vector_in(text, answered.text if embeddings else None)
    if vector is None and answered.text is None:
        return Sample(error="no text in the answer")
    return msgspec.structs.replace(
        timed,
        text=answered.text if vector is None else None,
        vector=vector,
        tokens=answered.output_tokens if vector is None else answered.input_tokens,
        tokens_estimated=answered.tokens_estimated,
    )
