"""Builders of experiments and exchanges, shared by the tests of `experiments`."""

from __future__ import annotations

import itertools
from typing import Any

from experiments.config.records import Experiment, Guardrail, Match, Policy, Slice, Source
from experiments.model import CONTROL, TREATMENT, Exchange, Role
from experiments.store import Outcome, StoredExchange, StoredFeedback

_numbers = itertools.count(1)


def make_experiment(**changes: Any) -> Experiment:
    values: dict[str, Any] = {
        "name": "support",
        "match": Match(path="/v1/chat/completions"),
        "control": "original",
        "treatment": "int4",
        "ramp": (50.0,),
        "mirror_percent": 100.0,
        "salt": "support",
        "slices": (Slice(attribute="language", source=Source(kind="header", name="language")),),
        "guardrails": (
            Guardrail(name="quality", scorer="exact", margin=0.02),
            Guardrail(name="errors", max_relative=1.2, margin=0.01),
        ),
        "policy": Policy(min_days=0, min_units=1, settle_seconds=10, unit_cap=5, stage_min_minutes=0),
    }
    return Experiment(**(values | changes))


def make_exchange(seq: int = 0, **changes: Any) -> StoredExchange:
    texts = {
        name: changes.pop(name)
        for name in (
            *("prompt", "answer", "input_tokens", "output_tokens", "tokens_estimated", "empty"),
            *("server_compute_ms", "server_queue_ms"),
        )
        if name in changes
    }
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": f"x{number}",
        "at": 1000.0,
        "experiment": "support",
        "epoch": 1,
        "unit": f"u{number}",
        "propensity": 0.5,
        "assigned": CONTROL,
        "served": CONTROL,
        "status": 200,
        "latency_ms": 10.0,
        "ttft_ms": 5.0,
    }
    exchange = Exchange(**(values | changes))
    return StoredExchange(exchange=exchange, seq=seq or number, **({"answer": "yes"} | texts))


def make_pair(
    live: dict[str, Any] | None = None, shadow: dict[str, Any] | None = None
) -> tuple[StoredExchange, StoredExchange]:
    """A live exchange and its shadow; the live one is control's unless said otherwise."""
    number = next(_numbers)
    common = {"unit": f"u{number}", "pair": f"p{number}"}
    first = make_exchange(**(common | {"id": f"p{number}"} | (live or {})))
    other = CONTROL if first.exchange.assigned == TREATMENT else TREATMENT
    side = common | {"unit": first.exchange.unit, "role": Role.SHADOW, "assigned": other, "served": other}
    return first, make_exchange(**(side | (shadow or {})))


def make_outcome(unit: str, value: float, metric: str = "quality", **changes: Any) -> Outcome:
    """An outcome of a pair of its own, unless said otherwise; control scored 1."""
    values: dict[str, Any] = {
        "pair": f"pair-{next(_numbers)}",
        "scorer": "exact/1",
        "experiment": "support",
        "epoch": 1,
        "stage": 0,
        "at": 1000.0,
        "slices": {},
        "control_value": 1.0,
        "treatment_value": 1.0 + value,
    }
    return Outcome(**(values | {"unit": unit, "metric": metric, "value": value} | changes))


def make_vote(unit: str, value: float, **changes: Any) -> StoredFeedback:
    """A thumb (1 is up) of a unit of the treatment, for an exchange of its own, unless said otherwise."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "seq": number,
        "exchange": f"x{number}",
        "metric": "thumbs_up",
        "source": "client",
        "at": 1000.0,
        "stage": 0,
        "assigned": TREATMENT,
        "propensity": 0.2,
        "exchange_at": 1000.0,
    }
    return StoredFeedback(**(values | {"unit": unit, "value": value} | changes))
