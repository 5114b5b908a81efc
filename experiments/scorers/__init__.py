"""Scorers: two answers to the same request in, a score for each out. One file each.

A scorer sees answers and nothing else: not which variant is which model, not the time, not the store.
"""

from __future__ import annotations

from experiments.config.records import Guardrail, Monitor
from experiments.scorers.agreement import Agreement
from experiments.scorers.base import Answer, PairScore, Scorer
from experiments.scorers.exact import Exact
from experiments.scorers.label import Label

__all__ = ["Answer", "PairScore", "Scorer", "scorer_for"]


def scorer_for(metric: Guardrail | Monitor) -> Scorer | None:
    """Return the scorer that a metric of the configuration names, or None if it names none."""
    match metric.scorer:
        case "exact":
            return Exact()
        case "agreement":
            return Agreement()
        case "label":
            return Label(metric.label or "")
        case None:
            return None
