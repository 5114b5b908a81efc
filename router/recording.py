"""What is noted of one exchange while it happens: times, bytes, texts. Becomes one `Exchange`."""

from __future__ import annotations

import time
from typing import Any, Protocol

from experiments.model import ErrorKind, Exchange, Role
from router.telemetry.tracing import Span

_STREAMS = (b"text/event-stream", b"application/x-ndjson", b"application/stream+json")


class Sink(Protocol):
    """Takes every exchange that has ended, with its span if it is traced. Never raises, never waits."""

    def __call__(self, exchange: Exchange, span: Span | None = None, /) -> object:
        """Take one."""


class Recording:
    """One exchange in the making.

    Args:
        fields: The fields of the `Exchange` that are known from the start.
        capture_bytes: How much of the response's body is kept.
        started: When it began, on the clock of `time.perf_counter`; now unless given.
    """

    __slots__ = (
        "_capture_bytes",
        "_captured",
        "_capturing",
        "_fields",
        "_first_at",
        "_last_at",
        "bytes_out",
        "done",
        "started",
    )

    def __init__(self, fields: dict[str, Any], capture_bytes: int, started: float | None = None) -> None:
        self._fields = fields
        self._capture_bytes = self._capturing = capture_bytes
        self._captured: list[bytes] = []
        self.started = time.perf_counter() if started is None else started
        """On the clock of `time.perf_counter`."""
        self._first_at: float | None = None
        self._last_at: float | None = None
        self.bytes_out = 0
        self.done = False
        """Whether it has been turned into an exchange: that happens once."""

    def set(self, **fields: Any) -> None:
        """Note fields that became known on the way."""
        self._fields.update(fields)

    def answered(self, backend: str, endpoint: str, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Note who answered, and whether the answer is a stream."""
        self._fields.update(backend=backend, endpoint=endpoint, status=status)
        for name, value in headers:
            if name == b"content-type":
                self._fields["stream"] = value.lower().startswith(_STREAMS)

    def chunk(self, data: bytes) -> int:
        """Note a piece of the response's body; returns the length of the body so far, in bytes."""
        self._last_at = time.perf_counter()
        if self._first_at is None:
            self._first_at = self._last_at
        length = len(data)
        if self._capturing > 0:
            self._captured.append(data if length <= self._capturing else data[: self._capturing])
            self._capturing -= length
        self.bytes_out += length
        return self.bytes_out

    def finish(self, error: ErrorKind | None = None) -> Exchange:
        """Return the exchange as it ended."""
        self.done = True
        fields = self._fields
        if self.bytes_out > self._capture_bytes:
            fields["truncated"] = True
        # A repeated answer says nothing of the time that its backend takes.
        if self._first_at is not None and self._last_at is not None and not fields.get("cached"):
            fields["ttft_ms"] = (self._first_at - self.started) * 1e3
            fields["latency_ms"] = (self._last_at - self.started) * 1e3
        return Exchange(
            error=error.value if error else "",
            bytes_out=self.bytes_out,
            response_text=b"".join(self._captured).decode("utf-8", "replace"),
            **fields,
        )


def shadow_fields(live: dict[str, Any], variant: str, exchange_id: str) -> dict[str, Any]:
    """Return the fields of a shadow exchange: its live exchange's, as the other variant's."""
    own = {"id": exchange_id, "pair": live["id"], "assigned": variant, "served": variant, "role": Role.SHADOW}
    return live | own
