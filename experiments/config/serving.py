"""The records of how requests are served: `[router]` and `[backends.NAME]`, with what is below them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from experiments.config.notifications import Notifications
from experiments.config.record import Count, Percent, Positive, Record


class ClientLimits(Record):
    """`[router.clients]`: what clients may use, of one proxy process; beyond it they are refused or cut."""

    max_connections: Count = 10_000
    """More are answered with 503."""
    max_in_flight: Count = 2_000
    """Requests being served at a time; more are answered with 503 and `Retry-After`."""
    max_header_bytes: Count = 64 * 1024
    """Request line and headers together; more is refused with 431."""
    max_headers: Count = 100
    """Number of headers; more are refused with 431."""
    header_timeout_s: Positive = 10.0
    """From a request's first byte to the end of its headers."""
    body_timeout_s: Positive = 30.0
    """Between two pieces of a request's body."""
    read_timeout_s: Positive = 30.0
    """A client that takes nothing of its answer for so long is cut off."""
    idle_timeout_s: Positive = 65.0
    """A connection without a request is closed after so long."""


class FeedbackSettings(Record):
    """`[router.feedback]`: who may send feedback, and how much."""

    token: str | None = None
    """Bearer token that senders must show; `"env:NAME"` or `"file:PATH"`, never the token itself."""
    per_minute: Count = 60
    """Of one exchange or unit, in one proxy process; more are answered with 429."""


class Tls(Record):
    """A certificate and its key, PEM files relative to the config file."""

    certificate: Path
    """The certificate, with its chain."""
    key: Path
    """The private key."""


class Tracing(Record):
    """`[router.tracing]`: OpenTelemetry traces."""

    endpoint: str
    """OTLP over HTTP, for example `http://127.0.0.1:4318/v1/traces`."""
    sample_percent: Percent = 10.0
    """Of the requests that carry no decision of their own in `traceparent`."""


class RouterSettings(Record):
    """`[router]`: where the router listens and where it keeps its data."""

    listen: str = "127.0.0.1:8080"
    """Address of the data port: model traffic and feedback."""
    admin: str = "127.0.0.1:8081"
    """Address of the admin API."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Proxy processes."""
    database: str = "sqlite:///touchstone.db"
    """SQLAlchemy URL; `postgresql://` for PostgreSQL. A relative SQLite path is relative to the config file."""
    journal: Path = Path("journal")
    """Folder of the journal, relative to the config file."""
    journal_fsync: Literal["interval", "always", "never"] = "interval"
    """When journal lines are forced to the disk; `interval` is once a second."""
    journal_limit_bytes: Count = 4 * 1024**3
    """Size of the journal's folder above which recording is shed: traffic never is."""
    default_backend: str | None = None
    """Backend for requests that no experiment matches; without it they get 404."""
    max_body_bytes: Count = 32 * 1024 * 1024
    """A larger request body is refused with 413."""
    stream_body_bytes: Count = 1024 * 1024
    """A longer request body is passed on as it comes, in bounded memory: it is neither mirrored nor sent a second time.
    Where a rule reads the body (a model, a unit, a slice), it is held whole, up to `max_body_bytes`."""
    max_held_bytes: Count = 256 * 1024 * 1024
    """Request bodies that one proxy process holds at a time; above it, 503."""
    capture_bytes: Annotated[int, Field(ge=0)] = 64 * 1024
    """How much of each request and response body is recorded."""
    connect_timeout_s: Positive = 2.0
    """To open a connection to a backend."""
    first_byte_timeout_s: Positive = 60.0
    """From dispatch to the response headers."""
    between_bytes_timeout_s: Positive = 30.0
    """Between two chunks of a response."""
    total_timeout_s: Positive = 3600.0
    """From the request to the last byte of its answer; a stream that takes longer is broken off."""
    retry_budget_percent: Percent = 20.0
    """Second attempts (a fallback, another endpoint) may be so many percent of the requests; beyond it, the failure
    itself is the answer."""
    http_transport: Literal["http1", "aiohttp"] = "http1"
    """What carries requests to `http://` backends; `https://` is always carried by aiohttp."""
    mirror_concurrency: Count = 64
    """Mirrored requests in flight in one proxy process; more are shed, never queued."""
    look_interval_s: Positive = 5.0
    """How often the controller looks at the evidence; the statistics allow any number of looks."""
    shutdown_grace_s: Positive = 20.0
    """How long answers in flight may go on after SIGTERM."""
    reload: bool = True
    """Take up a changed configuration file by itself; SIGHUP does it in any case, and takes up
    renewed certificates and secrets too. A bad file changes nothing."""
    admin_tokens: Path | None = None
    """File of hashed bearer tokens for the admin port, made by `touchstone token`; required off loopback."""
    clients: ClientLimits = ClientLimits()
    """`[router.clients]`: what clients may use."""
    feedback: FeedbackSettings = FeedbackSettings()
    """`[router.feedback]`: who may send feedback, and how much."""
    tls: Tls | None = None
    """`[router.tls]`: HTTPS on the data port."""
    admin_tls: Tls | None = None
    """`[router.admin_tls]`: HTTPS on the admin port."""
    tracing: Tracing | None = None
    """`[router.tracing]`: OpenTelemetry traces; needs the extra `otel`."""
    notifications: Notifications | None = None
    """`[router.notifications]`: whom to tell what happens."""


class Price(Record):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    """Of the prompt's tokens."""
    output: Annotated[float, Field(ge=0)]
    """Of the answer's tokens."""


class Health(Record):
    """`[backends.NAME.health]`: active health checks of every endpoint."""

    path: str = "/health"
    """Asked with GET, behind the endpoint's URL; 2xx is healthy."""
    interval_s: Positive = 5.0
    """How often."""
    timeout_s: Positive = 2.0
    """A slower answer is a failure."""
    healthy_after: Count = 2
    """So many good answers in a row bring an endpoint back."""
    unhealthy_after: Count = 3
    """So many failures in a row leave it out."""


class Ejection(Record):
    """`[backends.NAME.ejection]`: the circuit breaker of every endpoint."""

    failures: Count = 5
    """So many failures in a row open it."""
    failure_percent: Percent = 50.0
    """So does this share of failures among the last `window` answers."""
    window: Count = 50
    """How many of the last answers count."""
    seconds: Positive = 5.0
    """How long it stays open before one request may try; twice as long after each failed try, up to a minute."""


class Warmup(Record):
    """`[backends.NAME.warmup]`: synthetic requests, recorded with the role `warmup` and in no outcome."""

    requests: Path
    """JSON lines `{"path": ..., "body": {...}}`, relative to the config file."""
    before_traffic: bool = True
    """Send them once to each endpoint before there is traffic."""
    quiet_s: Positive | None = None
    """Send one to each endpoint after so long without traffic to the backend; never unless given."""


class BackendTls(Record):
    """`[backends.NAME.tls]`: how an `https://` backend is verified."""

    verify: bool = True
    """Whether its certificate is verified; `false` only for a test."""
    ca: Path | None = None
    """Certificates to trust in place of the system's, a PEM file relative to the config file."""


class Backend(Record):
    """`[backends.NAME]`: a model server, or several equal ones."""

    name: str
    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    """Base URLs; in the file `url = "..."` or `urls = [...]`."""
    protocol: Literal["openai", "ollama", "triton", "raw"] = "openai"
    """What its bodies look like; `raw` is any HTTP: the whole body is the prompt and the answer. Ollama's
    `/v1/...` is `openai`."""
    build: str = ""
    """What identifies its weights and settings, in your own words: with a new build an experiment is no retry."""
    price: Price | None = None
    """What an answer costs; needed for the goal `cost`."""
    max_outstanding: Count | None = None
    """Requests out to it at a time, from one proxy process; beyond it, it counts as unavailable."""
    api_key: str | None = None
    """Sent as bearer token in place of the client's; `"env:NAME"` or `"file:PATH"`, never the key itself."""
    drain_notice_url: str | None = None
    """Polled; an answer of 200 (a spot instance's termination notice) drains the backend."""
    allow_link_local: bool = False
    """Allow a link-local address (169.254.0.0/16, fe80::/10), where clouds keep credentials."""
    health: Health | None = None
    """`[backends.NAME.health]`: active health checks; none unless given."""
    ejection: Ejection = Ejection()
    """`[backends.NAME.ejection]`: when an endpoint that fails is left out."""
    warmup: Warmup | None = None
    """`[backends.NAME.warmup]`: synthetic requests before traffic and in quiet periods."""
    tls: BackendTls = BackendTls()
    """`[backends.NAME.tls]`: how an `https://` backend is verified."""


class Cache(Record):
    """`cache = { ... }` of an experiment: repeats of deterministic requests, per variant and proxy process."""

    ttl_s: Positive = 300.0
    """How long an answer may be repeated."""
    max_bytes: Count = 64 * 1024 * 1024
    """Size of all kept answers together; the least recently used go first."""
