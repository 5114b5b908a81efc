"""What is fixed before any data: margins and tolerances, and how the alpha of a rollback is shared. Pure."""

from __future__ import annotations

from experiments.config.records import Experiment, Guardrail
from experiments.evaluation.ledger import MAX_SLICE_VALUES
from experiments.evidence import Kind


def margins(guardrail: Guardrail, slice_: str) -> tuple[float, float]:
    """Return (margin, tolerance) of a guardrail in a slice.

    The tolerance is half the margin unless given, and keeps its share of the margin within slices.
    """
    margin = guardrail.margin or 0.0
    tolerance = guardrail.tolerance or margin / 2
    if slice_ and guardrail.slice_margin is not None:
        return guardrail.slice_margin, tolerance * guardrail.slice_margin / margin
    return margin, tolerance


def rollback_weights(experiment: Experiment) -> dict[tuple[Kind, str, bool], float]:
    """Split the rollback alpha over guardrails and slices, before any data: weights that add up to 1 at most.

    Guardrails share equally. A guardrail with both a margin (pairs) and a relative limit (events) splits its share. Of
    a paired guardrail with slices, half goes to all traffic and half to the slices, equally over `MAX_SLICE_VALUES + 1`
    places per attribute, whether or not so many values turn up: weights may not depend on the data.

    Returns:
        (kind, guardrail, whether a slice) -> weight of each such row.
    """
    weights: dict[tuple[Kind, str, bool], float] = {}
    for guardrail in experiment.guardrails:
        kinds = [guardrail.margin is not None, guardrail.max_relative is not None]
        share = 1 / len(experiment.guardrails) / max(1, sum(kinds))
        places = len(experiment.slices) * (MAX_SLICE_VALUES + 1)
        weights[Kind.EVENT, guardrail.name, False] = share
        weights[Kind.PAIRED, guardrail.name, False] = share / 2 if places else share
        weights[Kind.PAIRED, guardrail.name, True] = share / 2 / places if places else share
    return weights
