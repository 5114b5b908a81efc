"""From the state to what it says: the same functions of `analysis` as the controller's, at one look and without memory.

What depends on the path of the looks is not here: the running intersection of the confidence sequences, the peaks of
the e-values and Bayes factors, a goal's least p-value, and the watch after a promotion.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from analysis.confidence import confidence_sequence
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.event_coin import EventCoin, log_e_event
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState, asymptotic_cs
from analysis.srm import StageCounts, srm_log_bayes_factor
from experiments.config.records import Experiment, Guardrail
from experiments.evaluation.counts import ALL, Key
from experiments.evaluation.evaluator import BURN_IN, N_STAR
from experiments.evaluation.ledger import Ledger, Strata
from experiments.evaluation.response_rates import responses
from experiments.evaluation.row_parts import described, event_rates, interval_of, with_one_unchanged
from experiments.evaluation.weights import margins
from experiments.evidence import Kind
from experiments.scoring.operational import RATIOS
from experiments.warehouse.records import Row, Split, State

_ALPHA = 0.05
_NO_UNIT = "no unit has been analysed yet"


def ledger_of(experiment: Experiment, state: State) -> Ledger:
    """Return a ledger that has counted what the state says; only to be read."""
    ledger = Ledger(experiment)
    ledger.exposures, ledger.analysed, ledger.answered = state.exposures, state.analysed, state.answered
    ledger.differences, ledger.moments, ledger.pair_counts = state.differences, state.moments, state.pair_counts
    ledger.failed, ledger.shadows, ledger.slice_values = state.failed, state.shadows, state.slice_values
    ledger.bad_events.counts = state.events
    ledger.live, ledger.served_by_treatment, ledger.units = state.live, state.served_by_treatment, state.units
    return ledger


def rows(experiment: Experiment, state: State) -> Iterator[Row]:
    """Yield a row for each metric and slice, in the order of the controller's evidence."""
    ledger = ledger_of(experiment, state)
    places = (ALL, *ledger.slices())
    for guardrail in experiment.guardrails:
        if guardrail.margin is not None:
            for slice_ in places:
                yield _paired(ledger, state, guardrail, slice_)
        if guardrail.max_relative is not None:
            yield _event(ledger, guardrail)
    for goal in experiment.goals:
        for slice_ in places:
            yield _ratio(ledger, state, "goal" if slice_ == ALL else "monitor", Key(goal.name, slice_))
    named = {guardrail.name for guardrail in experiment.guardrails} | {goal.name for goal in experiment.goals}
    for name in sorted({key.metric for key in state.moments} - named):
        yield _ratio(ledger, state, "monitor", Key(name, ALL))
    for monitor in experiment.monitors:
        if monitor.name not in RATIOS:
            yield _watched(ledger, state, Key(monitor.name))


def split(name: str, strata: Strata) -> Split:
    """Return the split test over the stages in which both variants had a chance.

    Args:
        name: Which units.
        strata: (stage, split in basis points) -> [control, treatment] units.
    """
    stages = [(basis, *counts) for (_, basis), counts in sorted(strata.items()) if 0 < basis < 10_000]
    log_bf = srm_log_bayes_factor(
        [StageCounts((control, treatment), (1 - s / 10_000, s / 10_000)) for s, control, treatment in stages]
    )
    return Split(
        name=name, stages=[(s, control, treatment) for s, control, treatment in stages], log_bayes_factor=log_bf
    )


def _paired(ledger: Ledger, state: State, guardrail: Guardrail, slice_: str) -> Row:
    key = Key(guardrail.name, slice_)
    found = DifferenceCounts.of_counts(ledger.differences.get(key, {}))
    margin, tolerance = margins(guardrail, slice_)
    return Row(
        **_described(ledger, state, "guardrail", Kind.PAIRED, key),
        **_mean(found),
        margin=margin,
        tolerance=tolerance,
        log_e_harm=log_e_harm(found, -tolerance),
        log_e_any_loss=log_e_harm(found, 0.0),
        log_e_noninferior=log_e_noninferior(found, -margin),
    )


def _watched(ledger: Ledger, state: State, key: Key) -> Row:
    found = DifferenceCounts.of_counts(ledger.differences.get(key, {}))
    return Row(**_described(ledger, state, "monitor", Kind.PAIRED, key), **_mean(found))


def _mean(found: DifferenceCounts) -> dict[str, Any]:
    """Return units, estimate and interval of differences, or why there is none."""
    if found.n == 0:
        return {"units": 0, "not_estimable": _NO_UNIT}
    return {"units": found.n, "estimate": found.mean, **_interval(confidence_sequence(found, _ALPHA))}


def _interval(found: Estimate | NotEstimable, transform: Any = float) -> dict[str, Any]:
    if isinstance(found, NotEstimable):
        return {"not_estimable": found.reason}
    return {"interval": interval_of(found, transform)}


def _event(ledger: Ledger, guardrail: Guardrail) -> Row:
    counts = ledger.events.get(guardrail.name, Counter())
    log_e = log_e_event(EventCoin.of_counts(counts), guardrail.max_relative or 1.0)
    rates = event_rates(ledger, counts)
    if "estimate" not in rates:
        rates |= {"not_estimable": "not both variants have had a unit yet"}
    return Row(metric=guardrail.name, slice=ALL, role="guardrail", kind=Kind.EVENT, log_e_harm=log_e, **rates)


def _ratio(ledger: Ledger, state: State, role: str, key: Key) -> Row:
    """Summarise log(treatment / control) over units."""
    moments = ledger.moments.get(key)
    found = MeanState(moments.n, moments.mean, moments.m2) if moments else MeanState(0, 0.0, 0.0)
    interval = asymptotic_cs(with_one_unchanged(found), _ALPHA, N_STAR, BURN_IN + 1)
    estimate = math.expm1(found.mean) if found.n else None
    known = _described(ledger, state, role, Kind.RATIO, key)
    return Row(**known, units=found.n, estimate=estimate, **_interval(interval, math.expm1))


def _described(ledger: Ledger, state: State, role: str, kind: Kind, key: Key) -> dict[str, Any]:
    # Scorers are the state's: a ledger knows them only from single outcomes.
    known = described(ledger, role, kind, key, rules=1)
    return known | {"scorer": state.scorers.get(key.metric, ""), "failed": state.failed[key]}


__all__ = ["ledger_of", "responses", "rows", "split"]
