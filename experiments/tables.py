"""The rows of the store. They never leave `experiments.store`: records in, records out.

Every table that the controller reads forward has `seq`, a number that only grows in the order of committing. A look
stores how far it had read (its watermarks), which is what makes a decision replayable.

On PostgreSQL `exchange` and `outcome` are partitioned by the day that lies in their ids, see `experiments.retention`:
what makes a row unique there must hold the id, so `seq` has an index and no key.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel

import experiments.spending.tables  # noqa: F401  # of the same schema

# SQLite only gives a growing key to a column of type INTEGER; PostgreSQL wants 64 bits.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

# Ids sort by their bytes, whatever the database's language: that is what the bounds of partitions rely on. Columns that
# are joined with one need the same, or no index serves the join.
ID = String().with_variant(String(collation="C"), "postgresql")
ONLY_ON = "only_on"
"""Key in an index's `info`: the one dialect that has it."""


def _seq() -> Any:
    return Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))


def _id(*, unique: bool = False) -> Any:
    return Field(sa_column=Column(ID, nullable=False, unique=unique))


def _seq_index(table: str) -> Index:
    """Return the index of a partitioned table's `seq`; elsewhere it is the key."""
    return Index(f"ix_{table}_seq", "seq", info={ONLY_ON: "postgresql"}).ddl_if(dialect="postgresql")


class EpochRow(SQLModel, table=True):
    """A stretch with one configuration; any change starts the next one."""

    __tablename__ = "epoch"
    __table_args__ = (UniqueConstraint("experiment", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    experiment: str
    number: int
    config_hash: str
    config: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    started_at: float
    candidate: str = Field(default="", sa_column_kwargs={"server_default": ""})
    attempt: int = Field(default=1, sa_column_kwargs={"server_default": "1"})


class RouteRow(SQLModel, table=True):
    """What the proxies read: one row an experiment."""

    __tablename__ = "route"

    experiment: str = Field(primary_key=True)
    epoch: int
    stage: int
    phase: str
    split_basis_points: int
    mirror_basis_points: int
    salt: str
    exposed: list[list[Any]] = Field(sa_column=Column(JSON, nullable=False, server_default="[]"))
    epoch_started_at: float
    stage_started_at: float


class ExchangeRow(SQLModel, table=True):
    """One request and response with one variant."""

    __tablename__ = "exchange"
    __table_args__ = (
        _seq_index("exchange"),
        Index("ix_exchange_experiment_seq", "experiment", "epoch", "seq"),
        Index("ix_exchange_unit", "experiment", "unit"),
        Index(
            "ix_exchange_unscored",
            "seq",
            sqlite_where=text("role = 'shadow' AND scored = 0"),
            postgresql_where=text("role = 'shadow' AND NOT scored"),
        ),
        Index(
            "ix_exchange_shadow_of",
            "pair",
            sqlite_where=text("role = 'shadow'"),
            postgresql_where=text("role = 'shadow'"),
        ),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    id: str = _id(unique=True)
    at: float
    experiment: str
    epoch: int
    stage: int
    unit: str
    bucket: int
    propensity: float
    assigned: str
    served: str
    role: str
    pair: str = _id()
    shadow_first: bool
    fallback: str
    backend: str
    endpoint: str
    protocol: str
    method: str
    path: str
    status: int
    error: str
    ttft_ms: float | None
    latency_ms: float | None
    bytes_in: int
    bytes_out: int
    stream: bool
    slices: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    prompt: str | None
    answer: str | None
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    tokens_estimated: bool
    truncated: bool
    cached: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    model: str = Field(default="", sa_column_kwargs={"server_default": ""})
    tool_calls: int | None
    inter_token_ms: float | None
    server_compute_ms: float | None
    server_queue_ms: float | None
    empty: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    erased_at: float | None
    scored: bool = False


class OutcomeRow(SQLModel, table=True):
    """A metric's value for a pair, by one version of its scorer; a rescored pair has a row for each."""

    __tablename__ = "outcome"
    __table_args__ = (
        UniqueConstraint("pair", "metric", "scorer", name="uq_outcome_pair_metric_scorer"),
        _seq_index("outcome"),
        Index("ix_outcome_experiment_seq", "experiment", "epoch", "seq"),
        Index("ix_outcome_metric_value", "experiment", "epoch", "metric", "value", "seq"),
        Index(
            "ix_outcome_failed",
            *("experiment", "epoch", "metric", "seq"),
            sqlite_where=text("failure <> ''"),
            postgresql_where=text("failure <> ''"),
        ),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    pair: str = _id()
    metric: str
    scorer: str
    experiment: str
    epoch: int
    stage: int
    unit: str
    at: float
    slices: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    control_value: float
    treatment_value: float
    value: float
    scored_at: float | None = None
    failure: str = Field(default="", sa_column_kwargs={"server_default": ""})
    detail: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))


class FeedbackRow(SQLModel, table=True):
    """An outcome from outside; a later one of the same exchange, metric and source does not replace it."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_key", "exchange", "metric", "source"), {"sqlite_autoincrement": True})

    seq: int | None = _seq()
    exchange: str = _id()
    metric: str
    source: str
    value: float
    at: float


class LookRow(SQLModel, table=True):
    """One look of the controller: how far it had read, what it saw, what it decided and why."""

    __tablename__ = "look"
    __table_args__ = (UniqueConstraint("experiment", "epoch", "number"), {"sqlite_autoincrement": True})

    seq: int | None = _seq()
    experiment: str
    epoch: int
    number: int
    at: float
    stage: int
    exchange_seq: int
    outcome_seq: int
    feedback_seq: int
    action: str
    evidence: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    decision: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    state: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class TransitionRow(SQLModel, table=True):
    """A change of phase or stage: who, when, why. Written in the transaction of the look that caused it."""

    __tablename__ = "transition"
    __table_args__ = ({"sqlite_autoincrement": True},)

    seq: int | None = _seq()
    experiment: str
    epoch: int
    look: int | None
    at: float
    actor: str
    from_phase: str
    to_phase: str
    from_stage: int
    to_stage: int
    split_basis_points: int
    reason: str


class SegmentRow(SQLModel, table=True):
    """How far a journal segment has been loaded."""

    __tablename__ = "segment"

    name: str = Field(primary_key=True)
    offset: int
    records: int
    damaged: int


class RecorderRow(SQLModel, table=True):
    """What is told of one journal's folder by whoever records it."""

    __tablename__ = "recorder"

    folder: str = Field(primary_key=True)
    host: str
    at: float
    beat: int = Field(sa_column=Column(BigInteger, nullable=False))
    waiting_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended: bool
    writers: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    told: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class DrainRow(SQLModel, table=True):
    """A backend, or one endpoint of it, that gets no new requests."""

    __tablename__ = "drain"

    backend: str = Field(primary_key=True)
    endpoint: str = Field(primary_key=True)
    since: float
    actor: str
    reason: str


class DrainEventRow(SQLModel, table=True):
    """That a backend was drained, or a drain lifted: kept when the drain itself is gone."""

    __tablename__ = "drain_event"

    seq: int | None = _seq()
    at: float
    backend: str
    endpoint: str
    action: str
    actor: str
    reason: str


class CheckpointRow(SQLModel, table=True):
    """The statistics' state of an experiment after one of its looks: a restart goes on from here."""

    __tablename__ = "checkpoint"

    experiment: str = Field(primary_key=True)
    epoch: int
    look: int
    version: str
    state: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ScoreTaskRow(SQLModel, table=True):
    """A pair that waits for a scorer which asks another server; deleted in the transaction of its outcome."""

    __tablename__ = "score_task"
    __table_args__ = (UniqueConstraint("pair", "metric"), Index("ix_score_task_due", "due_at"))

    seq: int | None = _seq()
    pair: str = _id()
    experiment: str
    epoch: int
    metric: str
    due_at: float
    attempts: int
    trouble: str


class ScoreSpendRow(SQLModel, table=True):
    """What a scorer that costs something has used on one day (UTC)."""

    __tablename__ = "score_spend"

    experiment: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    calls: int
    input_tokens: int
    output_tokens: int


class LabelRow(SQLModel, table=True):
    """What a person, or a late truth, says of a pair: the right answer, or which side is better. The newest counts."""

    __tablename__ = "label"
    __table_args__ = (Index("ix_label_pair", "pair", "metric"),)

    seq: int | None = _seq()
    pair: str = _id()
    experiment: str
    metric: str
    value: str
    source: str
    at: float


class DailyQualityRow(SQLModel, table=True):
    """A metric's quality on one day (UTC), of one variant in one slice."""

    __tablename__ = "daily_quality"

    experiment: str = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    day: str = Field(primary_key=True)
    metric: str = Field(primary_key=True)
    slice: str = Field(primary_key=True)
    variant: str = Field(primary_key=True)
    pairs: int
    mean: float | None
    macro_f1: float | None
    win_rate: float | None


class ForgottenRow(SQLModel, table=True):
    """That a unit was forgotten: when, by whom and how much of it there was; never which."""

    __tablename__ = "forgotten"

    seq: int | None = _seq()
    at: float
    actor: str
    reason: str
    exchanges: int


class DroppedRow(SQLModel, table=True):
    """That exchanges of an epoch were dropped, with all that belongs to them: it cannot be replayed any more."""

    __tablename__ = "dropped"

    experiment: str = Field(primary_key=True)
    epoch: int = Field(primary_key=True)
    first_at: float
    last_at: float
    exchanges: int = Field(sa_column=Column(BigInteger, nullable=False))
    keep_days: float


class GoldenRunRow(SQLModel, table=True):
    """What a golden run brought."""

    __tablename__ = "golden_run"
    __table_args__ = (UniqueConstraint("experiment", "epoch", "number"),)

    seq: int | None = _seq()
    experiment: str
    epoch: int
    number: int
    at: float
    actor: str
    result: str
    summary: str
    verdict: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    items: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))


class GateRow(SQLModel, table=True):
    """What an experiment waits for, before its first user."""

    __tablename__ = "gate"

    experiment: str = Field(primary_key=True)
    epoch: int
    at: float
    waits_for: list[str] = Field(sa_column=Column(JSON, nullable=False))


class NotificationRow(SQLModel, table=True):
    """One notification on its way to one channel; kept for a while afterwards, so that it is not sent again."""

    __tablename__ = "notification"

    id: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    severity_rank: int
    made_at: float
    next_at: float
    attempts: int
    delivered_at: float | None
    given_up_at: float | None
    trouble: str
    content: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class EventRow(SQLModel, table=True):
    """Something that people are told."""

    __tablename__ = "event"

    key: str = Field(primary_key=True)
    severity: str = Field(primary_key=True)
    at: float = Field(primary_key=True)
    experiment: str
    title: str
    text: str


class AcknowledgementRow(SQLModel, table=True):
    """Somebody has taken a story on."""

    __tablename__ = "acknowledgement"

    key: str = Field(primary_key=True)
    at: float = Field(primary_key=True)
    actor: str
    reason: str


# The tables themselves, for queries: fully typed, where the row classes' attributes are not.
EPOCH, ROUTE, EXCHANGE, OUTCOME, FEEDBACK, LOOK, TRANSITION, SEGMENT, DRAIN = (
    SQLModel.metadata.tables[name]
    for name in ("epoch", "route", "exchange", "outcome", "feedback", "look", "transition", "segment", "drain")
)
DROPPED, RECORDER = (SQLModel.metadata.tables[name] for name in ("dropped", "recorder"))
GOLDEN_RUN, GATE = (SQLModel.metadata.tables[name] for name in ("golden_run", "gate"))
DRAIN_EVENT, SCORE_TASK, SCORE_SPEND, LABEL, DAILY_QUALITY, FORGOTTEN, CHECKPOINT = (
    SQLModel.metadata.tables[name]
    for name in ("drain_event", "score_task", "score_spend", "label", "daily_quality", "forgotten", "checkpoint")
)
NOTIFICATION, EVENT, ACKNOWLEDGEMENT = (
    SQLModel.metadata.tables[name] for name in ("notification", "event", "acknowledgement")
)
