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
    signing_key: str | None = None
    """Answers carry `x-touchstone-feedback-token`, signed with it; `"env:NAME"` or `"file:PATH"`, never the key."""
    require_signed: bool = False
    """Feedback without the token of its exchange is refused: nobody votes on an answer that they have not got."""


class Scoring(Record):
    """`[router.scoring]`: scorers that ask another server (a judge, embeddings), beside the controller's loop."""

    concurrency: Count = 8
    """Questions on their way at a time."""
    max_waiting: Count = 100_000
    """Pairs that may wait; more are recorded as not scored for lack of room, never silently dropped."""


class Monitoring(Record):
    """`[router.monitoring]`: where the daily quality goes, beside the store."""

    mlflow_tracking_uri: str | None = None
    """For example `sqlite:///mlflow.db`; needs the extra `mlflow`."""
    mlflow_experiment: str = "touchstone"
    """Name of the experiment there."""
    wandb_project: str | None = None
    """Needs the extra `wandb`."""
    wandb_mode: Literal["offline", "online"] = "offline"
    """Offline runs lie in `wandb_folder`, to be sent by `wandb sync`."""
    wandb_folder: Path = Path("wandb")
    """Relative to the config file."""


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
    keep_exchanges_days: Positive | None = None
    """After so many days, exchanges of epochs that are over are dropped, with their outcomes and feedback; such an
    epoch cannot be replayed any more. Those of an epoch that goes on are kept in any case. Unless given, all are."""
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
    scoring: Scoring = Scoring()
    """`[router.scoring]`: scorers that ask another server."""
    monitoring: Monitoring | None = None
    """`[router.monitoring]`: where the daily quality goes, beside the store."""


class Price(Record):
    """What an answer costs: by its tokens, or by the time that it keeps a GPU busy."""

    input: Annotated[float, Field(ge=0)] | None = None
    """USD per million tokens of the prompt."""
    output: Annotated[float, Field(ge=0)] | None = None
    """USD per million tokens of the answer."""
    gpu_hour: Annotated[float, Field(ge=0)] | None = None
    """USD per hour of the machine, in place of both; an answer costs its latency's part of it."""
    concurrency: Positive = 1.0
    """With `gpu_hour`: answers that the machine works on at a time, on average; they share the price."""


class Power(Record):
    """`[backends.NAME.power]`: what the machine draws, for `energy` and `carbon`."""

    watts: Positive
    """Of the whole machine while it answers."""
    concurrency: Positive = 1.0
    """Answers that it works on at a time, on average; they share the power."""
    pue: Annotated[float, Field(ge=1)] = 1.2
    """Power usage effectiveness of the data centre: cooling and losses."""
    country: str | None = None
    """ISO 3166-1 alpha-3 code, for example "IND": the grid's intensity from CodeCarbon's offline data (extra
    `carbon`)."""
    carbon_g_per_kwh: Annotated[float, Field(ge=0)] | None = None
    """The grid's intensity in grams of CO2 equivalent per kWh, if you know it better."""
    uncertainty_percent: Annotated[float, Field(ge=0, le=100)] = 30.0
    """Of the product; stated with every figure."""


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


class Spot(Record):
    """`[backends.NAME.spot]`: which of the backend's endpoints are spot instances.

    They are asked first; the others, on demand, are asked when no spot instance can be. A request that a spot instance
    breaks off before its first byte is sent once more, to another endpoint of the backend.
    """

    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    """Some of the backend's `urls`."""
    notice_urls: tuple[str, ...] = ()
    """One for each of `urls`, in order. Polled; an answer of 200 (that instance's termination notice) drains that
    endpoint alone."""
    notice_interval_s: Positive = 5.0
    """How often they are polled."""
    price: Price | None = None
    """What an answer of theirs costs; the backend's price is that on demand. The same unless given."""


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
    power: Power | None = None
    """`[backends.NAME.power]`: what the machine draws; needed for the goals `energy` and `carbon`."""
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
    spot: Spot | None = None
    """`[backends.NAME.spot]`: which of its endpoints are spot instances."""

    def is_spot(self, endpoint: str) -> bool:
        """Whether an endpoint is a spot instance; a base URL with a slash at its end is the same one."""
        wanted = endpoint.rstrip("/")
        return self.spot is not None and any(url.rstrip("/") == wanted for url in self.spot.urls)

    def price_at(self, endpoint: str) -> Price | None:
        """Return what an answer of an endpoint costs; None if that is not configured."""
        if self.spot is not None and self.spot.price is not None and self.is_spot(endpoint):
            return self.spot.price
        return self.price


class Cache(Record):
    """`cache = { ... }` of an experiment: repeats of deterministic requests, per variant and proxy process."""

    ttl_s: Positive = 300.0
    """How long an answer may be repeated."""
    max_bytes: Count = 64 * 1024 * 1024
    """Size of all kept answers together; the least recently used go first."""
