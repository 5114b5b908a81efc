"""Parts of an evidence row that need no memory: what was counted, rates, intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from analysis.paired import tango_interval
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState
from analysis.two_sample import newcombe_interval
from experiments.evaluation.counts import Key
from experiments.evaluation.ledger import Ledger
from experiments.evidence import Interval, Kind


def described(ledger: Ledger, role: str, kind: Kind, key: Key, rules: int) -> dict[str, Any]:
    """Return what pairs and scorer say of a metric in a slice, without any inference.

    Args:
        ledger: Where it is counted.
        role: `guardrail`, `goal` or `monitor`.
        kind: How the metric is measured.
        key: The metric and the slice.
        rules: Version of the rules by which the look counts; the first said nothing of scorers.
    """
    row: dict[str, Any] = {"metric": key.metric, "role": role, "kind": kind, "slice": key.slice}
    version = ledger.versions.of(key.metric)
    if version is not None and rules >= 2:
        row |= {"scorer": version.scorer, "since": version.since, "failed": ledger.failed[key]}
    counts = ledger.pair_counts.get(key)
    if counts is None:
        return row
    row |= {
        "pairs": counts.pairs,
        "losses": counts.losses,
        "wins": counts.wins,
        "ties": counts.pairs - counts.losses - counts.wins,
        "control_mean": counts.control / counts.pairs,
        "treatment_mean": counts.treatment / counts.pairs,
    }
    if kind is Kind.PAIRED:
        fixed = tango_interval(counts.wins, counts.losses, counts.pairs)
        row["fixed_interval"] = interval_of(fixed)
    return row


def event_rates(ledger: Ledger, counts: Mapping[tuple[float, int], int]) -> dict[str, Any]:
    """Return the rates per assigned unit, pooled over stages only for display; the e-value never pools."""
    exposed = [sum(stage[arm] for stage in ledger.exposures.values()) for arm in (0, 1)]
    events = [sum(n for (_, a), n in counts.items() if a == arm) for arm in (0, 1)]
    found: dict[str, Any] = {"units": sum(exposed), "losses": events[1], "wins": events[0]}
    if not all(exposed):
        return found
    rates = [min(1.0, e / n) for e, n in zip(events, exposed, strict=True)]
    fixed = newcombe_interval(min(events[1], exposed[1]), exposed[1], min(events[0], exposed[0]), exposed[0])
    return found | {
        "control_mean": rates[0],
        "treatment_mean": rates[1],
        "estimate": rates[1] - rates[0],
        "fixed_interval": interval_of(fixed),
    }


def interval_of(estimate: Estimate | NotEstimable, transform: Callable[[float], float] = float) -> Interval | None:
    """Return the ends of an estimate, None where a side is unbounded; None where there is no estimate."""
    if isinstance(estimate, NotEstimable):
        return None
    ends = [transform(end) if math.isfinite(end) else None for end in (estimate.lower, estimate.upper)]
    return Interval(*ends)


def with_one_unchanged(state: MeanState) -> MeanState:
    """Add one unit without any change: units that agree to the last bit must not look certain, nor be unusable.

    With fixed prices and equal answers, every unit saves exactly the same share: without variation there is no
    asymptotic interval. The one unit pulls towards "no change", so no claim of an improvement gains by it.
    """
    return state.merge(MeanState(1, 0.0, 0.0)) if state.n else state


def log_sum(logs: Iterator[float]) -> float:
    """Return log(sum(exp(x))) without overflow; -inf is never returned, since JSON has no word for it."""
    values = list(logs)
    if not values:
        return 0.0
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
