"""The vocabulary of Touchstone as frozen records. Every other module speaks in these words.

An **exchange** is one request and its response with one variant; the proxy writes it to the journal as one line of
JSON and the recorder loads it into the store. A **pair** is a live exchange and the shadow exchange of the same
request.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Why an exchange happened."""

    LIVE = "live"
    """The user got this answer."""
    SHADOW = "shadow"
    """A mirrored copy of a live request, sent to the other variant off the user's path."""
    GOLDEN = "golden"
    """A request of the golden set."""
    WARMUP = "warmup"
    """Sent only to warm a backend up; never analysed."""


class Phase(StrEnum):
    """Where an experiment is in its life."""

    DRAFT = "draft"
    """Written, not yet checked: control serves everyone."""
    GATED = "gated"
    """Waiting for its golden set and its backends: control serves everyone."""
    RUNNING = "running"
    """The treatment serves the current stage's share of the users."""
    PAUSED = "paused"
    """Stopped by a person or a guard, to be resumed: control serves everyone."""
    PROMOTED = "promoted"
    """The treatment was shown to be as good as promised: it serves everyone."""
    ROLLED_BACK = "rolled_back"
    """The treatment was shown to do harm: control serves everyone."""
    STOPPED = "stopped"
    """Ended without a winner: control serves everyone."""


ENDED = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.STOPPED})
"""Phases in which nothing more happens by itself."""


class ErrorKind(StrEnum):
    """What went wrong with an exchange, as seen from the router."""

    CONNECT = "connect"
    """The backend refused the connection or could not be reached."""
    TIMEOUT = "timeout"
    """The backend did not answer, or stopped sending, within its limit."""
    RESET = "reset"
    """The backend closed the connection before its answer was complete."""
    MALFORMED = "malformed"
    """The backend's answer was not correct HTTP."""
    STATUS = "status"
    """The backend answered with 5xx or 429."""
    UNAVAILABLE = "unavailable"
    """The backend was not asked: its circuits are open, its health checks fail, or as much is out to it as may be."""
    DRAINED = "drained"
    """The backend was not asked, because it is being drained: no fault of its own."""
    CLIENT_CLOSED = "client_closed"
    """The user left before the answer was complete: no fault of the backend."""
    SHED = "shed"
    """A request was not sent, because a limit of the router itself was reached: no fault of the backend."""
    CANCELLED = "cancelled"
    """A mirrored request was given up because the router was shutting down."""


BACKEND_FAULTS = frozenset(
    {
        ErrorKind.CONNECT,
        ErrorKind.TIMEOUT,
        ErrorKind.RESET,
        ErrorKind.MALFORMED,
        ErrorKind.STATUS,
        ErrorKind.UNAVAILABLE,
    }
)
"""Error kinds that count against the variant that was assigned."""

MISSING_SHADOW = frozenset({ErrorKind.SHED, ErrorKind.CANCELLED, ErrorKind.DRAINED})
"""Error kinds that make a pair incomplete without accusing the backend."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and its response with one variant: a journal line, and after loading a row of the store."""

    id: str
    """UUID version 7; for a live exchange, the value of the response header `x-touchstone-exchange`."""
    at: float
    """Wall-clock time at which the request arrived, in seconds since the epoch (UTC)."""
    experiment: str
    """Name of the experiment; empty if no experiment matched and the default backend served."""
    epoch: int = 0
    """The configuration epoch under which the assignment was made."""
    stage: int = 0
    """The ramp stage under which the assignment was made, counted from 0."""
    unit: str = ""
    """Keyed hash of what was randomised: never the user's own id."""
    bucket: int = 0
    """Basis point 0..9999 of the unit."""
    propensity: float = 1.0
    """Probability with which the assigned variant was assigned."""
    assigned: str = ""
    """Variant to which the unit was assigned: `control` or `treatment`."""
    served: str = ""
    """Variant that produced the answer; differs from `assigned` after a fallback."""
    role: Role = Role.LIVE
    pair: str = ""
    """For a shadow exchange, the id of its live exchange; for a live one that was mirrored, its own id."""
    shadow_first: bool = False
    """Whether the shadow request was dispatched before the live one (drawn at random for each pair)."""
    fallback: str = ""
    """Why the assigned variant did not answer (an `ErrorKind`), if control answered in its place."""
    backend: str = ""
    """Name of the backend that produced the answer."""
    endpoint: str = ""
    """URL of the endpoint that produced the answer."""
    protocol: str = "openai"
    method: str = "POST"
    path: str = ""
    status: int = 0
    """HTTP status; 0 if no response was had."""
    error: str = ""
    """An `ErrorKind`, or empty."""
    ttft_ms: float | None = None
    """From dispatch to the first byte of the response body; None if there was none."""
    latency_ms: float | None = None
    """From dispatch to the last byte of the response body; None if there was none."""
    bytes_in: int = 0
    bytes_out: int = 0
    stream: bool = False
    """Whether the answer came as a stream (server-sent events or NDJSON)."""
    cached: bool = False
    """Whether the answer was repeated from the response cache: its times say nothing of the backend."""
    slices: dict[str, str] = {}
    """Slice attribute -> value, for example `{"language": "hi"}`."""
    request_text: str = ""
    """The request body, as far as the capture limit allows."""
    response_text: str = ""
    """The response body, as far as the capture limit allows."""
    truncated: bool = False
    """Whether a captured text is cut off at the limit."""


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An outcome that arrived from outside after the answer: a thumb, a rating, a conversion."""

    exchange: str = ""
    unit: str = ""
    """Stands in for `exchange`: the keyed hash of the unit, with `experiment` saying in which experiment."""
    experiment: str = ""
    metric: str
    value: float | bool | str
    source: str = "client"
    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """A backend, or one endpoint of it, that gets no new requests."""

    backend: str
    endpoint: str = ""
    """Base URL; empty for all endpoints."""
    since: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    actor: str
    """Who asked for it: a token's name, or `local` where none is needed."""
    reason: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxies must know of one experiment right now; a row of the store, swapped whole."""

    experiment: str
    epoch: int = 0
    stage: int = 0
    phase: Phase = Phase.DRAFT
    split_basis_points: int = 0
    """Share of the units that the treatment serves, 0..10000."""
    mirror_basis_points: int = 0
    """Share of the live requests that are also sent to the other variant, 0..10000."""
    salt: str = ""
    exposed: tuple[tuple[str, int], ...] = ()
    """(salt, widest split in basis points) of each earlier attempt: who was in its treatment has met a failed build."""


CONTROL = "control"
TREATMENT = "treatment"
