"""The records that a `config.toml` becomes: frozen, complete, every default filled in.

Nothing here reads a file; `experiments.config.load` does. The limits of a single key stand here; rules between keys
and between records (a treatment that is not a backend, two experiments that match the same traffic) are in
`experiments.config.rules` and `experiments.config.metric_rules`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ScorerName = Literal["exact", "label", "agreement"]
Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Record(BaseModel):
    """Frozen, and strict about unknown keys and about types (no "10" where a number is wanted)."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


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
    default_backend: str | None = None
    """Backend for requests that no experiment matches; without it they get 404."""
    max_body_bytes: Count = 32 * 1024 * 1024
    """A larger request body is refused with 413."""
    capture_bytes: Annotated[int, Field(ge=0)] = 64 * 1024
    """How much of each request and response body is recorded."""
    connect_timeout_s: Positive = 2.0
    """To open a connection to a backend."""
    first_byte_timeout_s: Positive = 60.0
    """From dispatch to the response headers."""
    between_bytes_timeout_s: Positive = 30.0
    """Between two chunks of a response."""
    http_transport: Literal["http1", "aiohttp"] = "http1"
    """What carries requests to `http://` backends; `https://` is always carried by aiohttp."""
    mirror_concurrency: Count = 64
    """Mirrored requests in flight in one proxy process; more are shed, never queued."""
    look_interval_s: Positive = 5.0
    """How often the controller looks at the evidence; the statistics allow any number of looks."""
    shutdown_grace_s: Positive = 20.0
    """How long answers in flight may go on after SIGTERM."""


class Price(Record):
    """USD per million tokens."""

    input: Annotated[float, Field(ge=0)]
    """Of the prompt's tokens."""
    output: Annotated[float, Field(ge=0)]
    """Of the answer's tokens."""


class Backend(Record):
    """`[backends.NAME]`: a model server, or several equal ones."""

    name: str
    urls: Annotated[tuple[str, ...], Field(min_length=1)]
    """Base URLs; in the file `url = "..."` or `urls = [...]`."""
    protocol: Literal["openai", "raw"] = "openai"
    """What its bodies look like; `raw` is any HTTP: the whole body is the prompt and the answer."""
    price: Price | None = None
    """What an answer costs; needed for the goal `cost`."""


class Match(Record):
    """Which requests belong to the experiment; all keys given must hold."""

    path: str
    """Exact path, for example `/v1/chat/completions`."""
    model: str | None = None
    """The `model` field of the request body."""
    headers: dict[str, str] = {}
    """Header name (lower case) -> exact value."""


class Source(Record):
    """Where in a request a value is found: `header:NAME`, `cookie:NAME`, `body:path.to.field` or `request`."""

    kind: Literal["header", "cookie", "body", "request"]
    name: str = ""
    """Header or cookie name in lower case, or the dotted path in the JSON body; empty for `request`."""


class Slice(Record):
    """One slice attribute: its name in tables and on the screen, and where its value is found."""

    attribute: str
    """`header:x-language` in the file gives the attribute `x-language`."""
    source: Source


class Guardrail(Record):
    """A metric that must not be harmed.

    Three kinds: a **paired** one names a `scorer` and a `margin`; `errors` and a **feedback** one (`feedback = true`)
    are unpaired bad events with a `max_relative` risk. `errors` has a margin too, for promotion: on pairs, the share of
    failed answers may not rise by more than `margin`.
    """

    name: str
    scorer: ScorerName | None = None
    """`exact` and `label` compare with the golden set, `agreement` with the other answer."""
    label: str | None = None
    """For `scorer = "label"`: `json:path.to.field` or `regex:...` with one group; what of the answer is the label."""
    feedback: bool = False
    """The metric is reported from outside; a value of false or 0 is a bad event."""
    margin: Share | None = None
    """Delta: the loss that one agrees to accept, on the metric's own scale (0.02 is 2 points)."""
    tolerance: Share | None = None
    """tau: the harm at which one rolls back; half the margin unless given; never above the margin."""
    slice_margin: Share | None = None
    """Delta within one slice; the margin unless given."""
    max_relative: Annotated[float, Field(ge=1)] | None = None
    """Highest accepted ratio of the treatment's event rate to control's."""


class Goal(Record):
    """A metric that must improve: `latency`, `ttft` or `cost`, on paired ratios treatment/control."""

    name: Literal["latency", "ttft", "cost"]
    better_by: Annotated[float, Field(ge=0, lt=1)]
    """0.3 where the file says "30%": the geometric mean of the ratio must be shown to be below 0.7."""


class Monitor(Record):
    """A metric that is shown and decides nothing."""

    name: str
    scorer: ScorerName | None = None
    """As in a guardrail."""
    label: str | None = None
    """As in a guardrail."""
    feedback: bool = False
    """As in a guardrail."""


class Policy(Record):
    """`[experiments.NAME.policy]`: when to act, and how sure to be."""

    on_harm: Literal["rollback", "pause"] = "rollback"
    """What follows proven harm; after either, control serves everyone."""
    mirror_after_rollback: bool = False
    """Go on mirroring after a rollback, unseen by users, to measure how much worse the treatment is, and where."""
    on_success: Literal["promote", "notify"] = "promote"
    """What follows when every condition of a promotion holds; `notify` decides but changes no route."""
    min_days: Annotated[float, Field(ge=0)] = 7.0
    """Promotion waits for this long, one full weekly cycle by default; a rollback never waits."""
    max_days: Positive = 28.0
    """Undecided after this long, the experiment stops and control stays."""
    min_units: Count = 200
    """Promotion waits for this many analysed units."""
    stage_min_units: Count = 100
    """A ramp stage lasts at least until this many units have been analysed in it."""
    stage_min_minutes: Annotated[float, Field(ge=0)] = 60.0
    """A ramp stage lasts at least so long."""
    unit_cap: Count = 10
    """At most this many pairs of one unit count; their mean is one observation."""
    settle_seconds: Annotated[float, Field(ge=0)] = 300.0
    """A unit's observation is taken when it has been quiet for this long, or has reached its cap."""
    alpha_rollback: Share = 0.05
    """Chance of a false rollback over the whole life of the experiment."""
    alpha_promote: Share = 0.025
    """Chance of a false promotion, one-sided."""
    alpha_srm: Share = 0.001
    """Chance of a false alarm that the split is not the configured one."""
    min_completeness: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Promotion needs this share of the mirrored requests to have been answered or failed for real."""
    protected_slices: tuple[str, ...] = ()
    """Slice attributes of which every value must be shown safe before promotion."""


class Experiment(Record):
    """`[experiments.NAME]`: one comparison of a treatment with the control."""

    name: str
    owner: str = ""
    """Whom to ask."""
    hypothesis: str = ""
    """What is to be shown, in a sentence."""
    match: Match
    """Which requests belong to it."""
    control: str
    """The backend that users trust."""
    treatment: str
    """The backend that is to be judged."""
    split_percent: Percent = 0.0
    """Of the units, to the treatment; with a `ramp`, the ramp counts."""
    mirror_percent: Percent = 0.0
    """Of the live requests, also sent to the other variant, unseen by the user, for paired outcomes."""
    unit: Source = Source(kind="request")
    """What is randomised, and always gets the same variant: a user, a conversation."""
    ramp: Annotated[tuple[Percent, ...], Field(min_length=1)]
    """Split of each stage in percent, rising; `[split_percent]` unless given."""
    slices: tuple[Slice, ...] = ()
    """Attributes by which harm is looked for, so that a good average hides none."""
    golden: Path | None = None
    """Golden set (JSON lines) that carries the references for `exact` and `label`, relative to the config file."""
    salt: str
    """Salt of the assignment; the experiment's name unless given."""
    guardrails: tuple[Guardrail, ...] = ()
    """Metrics that must not be harmed."""
    goals: tuple[Goal, ...] = ()
    """Metrics of which one must improve."""
    monitors: tuple[Monitor, ...] = ()
    """Metrics that are shown."""
    policy: Policy = Policy()
    """When to act, and how sure to be."""


class Config(Record):
    """A whole `config.toml`."""

    path: Path
    """The file it was read from."""
    router: RouterSettings = RouterSettings()
    backends: dict[str, Backend]
    experiments: dict[str, Experiment]
