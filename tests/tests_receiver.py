"""A receiver of notifications on a real loopback port: keeps what it gets, and answers as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from experiments.telling.escalation import Notification, Severity

NOW = 1_700_000_000.0


@dataclass
class Receiver:
    """An ASGI application."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    """Answers only once this is set."""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """(path, headers, body) of each request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.got.append((request.url.path, dict(request.headers), body))
        if self.gate is not None:
            await run_in_threadpool(self.gate.wait, 20)
        await Response(status_code=self.status, headers=self.headers)(scope, receive, send)


def note(id_: str = "one", severity: Severity = Severity.WARNING, **changes: Any) -> Notification:
    """A notification that is due."""
    values = {"due_at": NOW, "title": "support is held up", "text": "why", "keys": ("support/1/srm",)} | changes
    return Notification(id=id_, severity=severity, **values)


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait for something that another thread does; returns whether it came."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
