"""What the store takes and gives: records. Rows never leave `experiments.store`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from experiments.evidence import Decision, Evidence
from experiments.model import Exchange, Phase, Route


class LoadedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange as the recorder loads it: the journal's record, and what was read from its texts."""

    exchange: Exchange
    prompt: str | None = None
    answer: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_estimated: bool = False
    model: str = ""
    """The model that the answer names, else the one that the request asked for."""
    tool_calls: int | None = None
    """How many tools the answer calls; None if the protocol has none."""
    inter_token_ms: float | None = None
    """Mean time between two tokens of a streamed answer."""
    server_compute_ms: float | None = None
    """How long the server says that it computed; None if it says nothing."""
    server_queue_ms: float | None = None
    """How long the request waited in its queue, by the server's own word."""
    empty: bool = False
    """Whether a 2xx answer has nothing in it: no text and no call of a tool. Noted at once: texts are erased later."""
    erased_at: float | None = None
    """When prompt and answer were erased or hashed, in seconds since the epoch; None while they are there."""


class StoredExchange(LoadedExchange, frozen=True, kw_only=True):
    """An exchange in the store. The request and response texts are gone; prompt and answer remain."""

    seq: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's value for a pair: `value` is what the statistics use (a difference, or the log of a ratio)."""

    pair: str
    metric: str
    scorer: str
    experiment: str
    epoch: int
    stage: int
    unit: str
    at: float
    slices: dict[str, str]
    control_value: float
    treatment_value: float
    value: float
    scored_at: float | None = None
    """When it was scored, in seconds since the epoch, if that took another server; None if it was scored at once."""
    failure: str = ""
    """Why there is no score: such a row has no values that count, and is never left out."""
    detail: dict[str, Any] | None = None
    """What the scorer noted: labels, what a judge said."""
    seq: int = 0


class StoredFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """Feedback joined with the assignment of its exchange."""

    seq: int
    exchange: str
    metric: str
    source: str
    value: float
    at: float
    unit: str
    stage: int
    assigned: str
    propensity: float
    exchange_at: float
    """When the exchange that it is about arrived, in seconds since the epoch."""


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch with one configuration."""

    experiment: str
    number: int
    config_hash: str
    config: dict[str, Any]
    started_at: float
    candidate: str = ""
    """What identifies the build that is judged."""
    attempt: int = 1
    """Which attempt of that build: later ones have less alpha."""


class RouteState(msgspec.Struct, frozen=True, kw_only=True):
    """A route with the times that its lifecycle needs."""

    route: Route
    epoch_started_at: float
    stage_started_at: float


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look as stored: watermarks, evidence, decision, and the statistics' state."""

    experiment: str
    epoch: int
    number: int
    at: float
    stage: int
    exchange_seq: int
    outcome_seq: int
    feedback_seq: int
    evidence: Evidence
    decision: Decision
    state: dict[str, Any]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A change of phase or stage."""

    experiment: str
    epoch: int
    look: int | None
    at: float
    actor: str
    from_phase: Phase
    to_phase: Phase
    from_stage: int
    to_stage: int
    split_basis_points: int
    reason: str


class ForgottenNote(msgspec.Struct, frozen=True, kw_only=True):
    """That a unit was forgotten; never which."""

    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    actor: str
    reason: str
    exchanges: int
    """How many there were of it."""


class Watermarks(NamedTuple):
    """How far the store has been filled: the highest `seq` of each table."""

    exchange: int
    outcome: int
    feedback: int
