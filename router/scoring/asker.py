"""One question to one backend: sent once, and what came of it. Nothing of a question or a reply is logged."""

from __future__ import annotations

import math
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from experiments.config.serving import Backend
from experiments.scorers.asking import Question
from experiments.scoring.score_tasks import Spend
from router.processes.secrets import resolve
from router.upstream.upstream import trust_of

_HEADERS = {"content-type": "application/json", "accept": "application/json", "user-agent": "touchstone-scoring"}
_MOST_REPLY_BYTES = 4 * 1024 * 1024
_BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of a server that may answer later; the others are about the question."""
_LONGEST_WAIT_S = 3_600.0
"""A `Retry-After` beyond it is cut."""


class Reply(NamedTuple):
    """A good answer."""

    body: bytes
    spend: Spend


class Trouble(NamedTuple):
    """No good answer."""

    reason: str
    """In a few words: a status, or what happened to the connection."""
    is_busy: bool = False
    """Whether the server, and not the question, is the trouble: others need not be sent now."""
    wait_s: float | None = None
    """What the server asked for by `Retry-After`."""
    is_limited: bool = False
    """Whether it said that it was asked too often: then the question was not tried at all."""


class Asker:
    """Asks one backend.

    Args:
        backend: Its endpoints take turns.
        folder: Of the configuration, for a secret in a file.

    Raises:
        router.processes.secrets.SecretError: Its key cannot be had.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.name = backend.name
        self._urls = cycle([url.rstrip("/") for url in backend.urls])
        self._trust = trust_of(backend.tls)
        self._headers = dict(_HEADERS)
        if backend.api_key is not None:
            self._headers["authorization"] = f"Bearer {resolve(backend.api_key, folder).get_secret_value()}"

    def __repr__(self) -> str:
        return f"<Asker of {self.name}>"

    async def ask(self, session: aiohttp.ClientSession, question: Question, timeout_s: float) -> Reply | Trouble:
        """Send a question once.

        Args:
            session: Of the running loop.
            question: What to send.
            timeout_s: To the last byte of the reply.
        """
        try:
            async with session.post(
                next(self._urls) + question.path,
                data=msgspec.json.encode(question.body),
                headers=self._headers,
                ssl=self._trust,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                return await _read(response)
        except TimeoutError:
            return Trouble("timeout")
        except aiohttp.ClientConnectorError:
            return Trouble("connect", is_busy=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The class only: a message may quote what the server sent.
            return Trouble(type(error).__name__)


async def _read(response: aiohttp.ClientResponse) -> Reply | Trouble:
    if response.status != 200:
        busy = response.status in _BUSY
        wait_s = retry_after_s(response.headers.get("retry-after", "")) if busy else None
        return Trouble(f"status {response.status}", busy, wait_s, response.status == 429)
    pieces = bytearray()
    async for piece in response.content.iter_any():
        pieces += piece
        if len(pieces) > _MOST_REPLY_BYTES:
            return Trouble("reply too long")
    return Reply(bytes(pieces), spend_of(pieces))


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Counted(msgspec.Struct):
    usage: _Usage | None = None


_counted = msgspec.json.Decoder(_Counted).decode


def spend_of(body: bytes | bytearray) -> Spend:
    """Return what a reply says it took; one call, and no tokens if it does not say.

    >>> spend_of(b'{"usage": {"prompt_tokens": 7, "total_tokens": 7}}')
    Spend(calls=1, input_tokens=7, output_tokens=0)
    """
    try:
        usage = _counted(body).usage or _Usage()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        usage = _Usage()
    return Spend(1, max(0, usage.prompt_tokens), max(0, usage.completion_tokens))


def retry_after_s(value: str) -> float | None:
    """Read `Retry-After` in seconds, cut to an hour; None for a date or nonsense.

    >>> retry_after_s("1.5"), retry_after_s("soon"), retry_after_s("1e9")
    (1.5, None, 3600.0)
    """
    try:
        seconds = float(value)
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT_S) if math.isfinite(seconds) and seconds >= 0 else None
