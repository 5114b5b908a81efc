"""The rows of the store. They never leave `experiments.store`: records in, records out.

Every table that the controller reads forward has `seq`, a number that only grows in the order of committing. A look
stores how far it had read (its watermarks), which is what makes a decision replayable.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

# SQLite only gives a growing key to a column of type INTEGER; PostgreSQL wants 64 bits.
SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def _seq() -> Any:
    return Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))


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
    epoch_started_at: float
    stage_started_at: float


class ExchangeRow(SQLModel, table=True):
    """One request and response with one variant."""

    __tablename__ = "exchange"
    __table_args__ = (
        Index("ix_exchange_experiment_seq", "experiment", "epoch", "seq"),
        Index(
            "ix_exchange_unscored",
            "seq",
            sqlite_where=text("role = 'shadow' AND scored = 0"),
            postgresql_where=text("role = 'shadow' AND NOT scored"),
        ),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    id: str = Field(unique=True)
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
    pair: str
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
    empty: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    erased_at: float | None
    scored: bool = False


class OutcomeRow(SQLModel, table=True):
    """A metric's value for a pair."""

    __tablename__ = "outcome"
    __table_args__ = (
        UniqueConstraint("pair", "metric"),
        Index("ix_outcome_experiment_seq", "experiment", "epoch", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = _seq()
    pair: str
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


class FeedbackRow(SQLModel, table=True):
    """An outcome from outside; a later one of the same exchange, metric and source does not replace it."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_key", "exchange", "metric", "source"), {"sqlite_autoincrement": True})

    seq: int | None = _seq()
    exchange: str
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


class DrainRow(SQLModel, table=True):
    """A backend, or one endpoint of it, that gets no new requests."""

    __tablename__ = "drain"

    backend: str = Field(primary_key=True)
    endpoint: str = Field(primary_key=True)
    since: float
    actor: str
    reason: str


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
GOLDEN_RUN, GATE = (SQLModel.metadata.tables[name] for name in ("golden_run", "gate"))
NOTIFICATION, EVENT, ACKNOWLEDGEMENT = (
    SQLModel.metadata.tables[name] for name in ("notification", "event", "acknowledgement")
)
