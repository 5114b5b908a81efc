"""The records that a `config.toml` becomes: frozen, complete, every default filled in.

Nothing here reads a file; `experiments.config.load` does. The limits of a single key stand here; rules between keys
and between records (a treatment that is not a backend, two experiments that match the same traffic) are in
`experiments.config.rules` and `experiments.config.metric_rules`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from experiments.config.asking import Embeddings, Judge
from experiments.config.guarding import Gate, Holdback, Trips
from experiments.config.record import Count, Percent, Positive, Record, Share
from experiments.config.serving import Backend, Cache, Price, RouterSettings

__all__ = [
    "Backend",
    "Config",
    "Experiment",
    "Goal",
    "Guardrail",
    "Match",
    "Monitor",
    "Policy",
    "Price",
    "Record",
    "RouterSettings",
    "Slice",
    "Source",
]
HISTORY_SLICES = ("exposed_before",)
"""Slice attributes that are known from earlier attempts: `yes` for a unit that has met the failed build."""
PROMPT_SLICES = ("language", "script", "code_switched")
"""Slice attributes that are found in the prompt: nobody has to send them. `experiments.languages` knows how."""


class Match(Record):
    """Which requests belong to the experiment; all keys given must hold."""

    path: str
    """Exact path, for example `/v1/chat/completions`."""
    model: str | None = None
    """The `model` field of the request body."""
    headers: dict[str, str] = Field(default={})
    """Header name (lower case) -> exact value."""


class Source(Record):
    """Where in a request a value is found: `header:NAME`, `cookie:NAME`, `body:path.to.field` or `request`.

    A slice may also come from what the prompt says (`prompt`, with one of `PROMPT_SLICES` as its name); a unit may not.
    """

    kind: Literal["header", "cookie", "body", "request", "prompt", "history"]
    name: str = ""
    """Header or cookie name in lower case, the dotted path in the JSON body, or what is found in the prompt; empty for
    `request`."""


class Slice(Record):
    """One slice attribute: its name in tables and on the screen, and where its value is found."""

    attribute: str
    """`header:x-language` in the file gives the attribute `x-language`, and `language` the attribute `language`."""
    source: Source


class Guardrail(Record):
    """A metric that must not be harmed.

    Three kinds: a **paired** one names a `scorer` and a `margin`; `errors` and a **feedback** one (`feedback = true`)
    are unpaired bad events with a `max_relative` risk. `errors` has a margin too, for promotion: on pairs, the share of
    failed answers may not rise by more than `margin`.
    """

    name: str
    scorer: str | None = None
    """How answers are scored, see [scorers.md](scorers.md): `exact` and `label` compare with the golden set,
    `agreement` with the other answer."""
    label: str | None = None
    """For `scorer = "label"` or `"golden"`: `json:path.to.field` or `regex:...` with one group; what of the answer is
    the label."""
    schema_file: Annotated[Path, Field(strict=False)] | None = None
    """For `scorer = "json_valid"`: a JSON schema, relative to the config file."""
    patterns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """For `scorer = "refusal"`: more patterns of refusals, in RE2's syntax."""
    options: dict[str, Any] = Field(default={})
    """For a scorer of another package: what it wants to know."""
    judge: Judge | None = None
    """For `scorer = "judge"`: which model judges, and how."""
    embeddings: Embeddings | None = None
    """For `scorer = "similarity"`: who turns answers into vectors."""
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

    @field_serializer("schema_file", when_used="json-unless-none")
    def _without_folder(self, path: Path) -> str:
        # An epoch is one configuration, and one that has moved is still the same.
        return path.name


class Goal(Record):
    """A metric that must improve, on paired ratios treatment/control.

    `latency`, `ttft`, `inter_token` (time between two tokens), `cost`, `energy` or `carbon`.
    """

    name: Literal["latency", "ttft", "inter_token", "cost", "energy", "carbon"]
    better_by: Annotated[float, Field(ge=0, lt=1)]
    """0.3 where the file says "30%": the geometric mean of the ratio must be shown to be below 0.7."""


class Monitor(Record):
    """A metric that is shown and decides nothing."""

    name: str
    scorer: str | None = None
    """As in a guardrail."""
    label: str | None = None
    """As in a guardrail."""
    schema_file: Annotated[Path, Field(strict=False)] | None = None
    """As in a guardrail."""
    patterns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """As in a guardrail."""
    options: dict[str, Any] = Field(default={})
    """As in a guardrail."""
    judge: Judge | None = None
    """As in a guardrail."""
    embeddings: Embeddings | None = None
    """As in a guardrail."""
    feedback: bool = False
    """As in a guardrail."""

    @field_serializer("schema_file", when_used="json-unless-none")
    def _without_folder(self, path: Path) -> str:
        # An epoch is one configuration, and one that has moved is still the same.
        return path.name


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
    """A unit's observation is taken when it has been quiet for this long, or has reached its cap; a vote of feedback
    counts when it has stood for this long."""
    alpha_rollback: Share = 0.05
    """Chance of a false rollback over the whole life of the experiment."""
    alpha_promote: Share = 0.025
    """Chance of a false promotion, one-sided, at the first attempt of a build; the j-th has 0.61/j^2 of it, so that all
    attempts together stay below 1.4 times."""
    alpha_srm: Share = 0.001
    """Chance of a false alarm that the split is not the configured one."""
    min_completeness: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Promotion needs this share of the mirrored requests to have been answered or failed for real, and of each
    guardrail's pairs to have been scored."""
    protected_slices: tuple[str, ...] = ()
    """Slice attributes of which every value must be shown safe before promotion."""
    waived_slices: tuple[str, ...] = ()
    """Values of protected slices that need not be shown safe, as `"attribute=value"`: somebody answers for them."""
    on_slice_harm: Literal["rollback", "hold"] = "rollback"
    """What follows harm that is proven in a slice only."""
    late_alarm_units: Annotated[float, Field(ge=1000)] = 300_000.0
    """After a promotion: so many analysed units pass on average between two false alarms of late harm."""
    holdback_percent: Holdback = 0.0
    """After a promotion, so many units stay with control, and the mirror goes on: late harm is noticed."""


class Cohort(Record):
    """The share of the units that an experiment sees, if several treatments are compared with one control."""

    group: str
    """Name of the table in the file: the experiment's own is `GROUP.TREATMENT`."""
    index: Annotated[int, Field(ge=0)]
    count: Count
    """How many treatments share the units."""
    salt: str
    """Of the division; the same for all members, and none of their own."""


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
    """The backend that is to be judged. A list of several becomes an experiment for each, named `NAME.TREATMENT`: they
    divide the units among them, and each has its own control group, phase and decision."""
    cohort: Cohort | None = None
    """Which units it sees; all of them if there is one treatment. Made from `treatments`, and no key of the file."""
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
    gate: Gate = Gate()
    """What must hold before the first user gets the treatment."""
    trips: Trips = Trips()
    """What stops it at once, beside the statistics."""
    policy: Policy = Policy()
    """When to act, and how sure to be."""
    fallback: Literal["to_control", "both", "none"] = "to_control"
    """Who answers when the assigned backend fails before its first byte: `to_control` (control, for a failed
    treatment), `both` (the treatment too, for a failed control), or nobody."""
    mirror_slices: dict[str, Percent] = Field(default={})
    """Slices that are mirrored more, `"attribute=value"` -> percent, so that small ones tell something. What is sent
    beyond `mirror_percent` counts in its slice only, so that the whole is not bent towards it."""
    mirror_order: Literal["random", "live_first"] = "random"
    """Which of a mirrored request's two copies goes out first; `random` is fair to both variants' latencies."""
    mirror_exclude: tuple[str, ...] = ()
    """Requests that are never mirrored: `"tools"` (those that may call tools), `"stateful"` (those that refer to stored
    state: `previous_response_id`, `store`), `"not_idempotent"` (methods other than GET, HEAD and POST), or
    `"header:NAME"` (those with that header)."""
    expose_variant: bool = False
    """Name the variant in the response header `x-touchstone-variant`; clients that know it bias their feedback."""
    capture: Literal["full", "hashed", "none"] = "full"
    """What is kept of prompts and answers: all; only keyed hashes, once they are scored; or nothing, ever."""
    capture_percent: Percent = 100.0
    """With `capture = "full"`: of so many exchanges the texts stay, a pair's together; of the others only their hashes,
    once they are scored."""
    retention_days: Positive = 30.0
    """After so long, prompts and answers are erased from the store; figures stay."""
    redact: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Patterns in RE2's syntax; what matches is replaced by `[redacted]` before anything is written."""
    feedback_window_hours: Positive = 168.0
    """Feedback counts if it comes so soon after its answer; later it is kept, and counts for nothing."""
    cache: Cache | None = None
    """Answer repeated deterministic requests from memory; off unless given."""


class Config(Record):
    """A whole `config.toml`."""

    path: Path
    """The file it was read from."""
    router: RouterSettings = RouterSettings()
    backends: dict[str, Backend]
    experiments: dict[str, Experiment]
