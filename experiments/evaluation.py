"""The one meeting point with statistics: a ledger in, evidence out.

`Evaluator` is what the controller keeps per experiment, and what a replay builds anew: it folds new rows into the
ledger, closes ripe units, computes the evidence of the look, and remembers the peaks (an alarm once raised stays
raised) and the running intersection of the confidence sequences. Same rows, same looks: same evidence to the last bit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.confidence import confidence_sequence, intersect
from analysis.e_detector import EDetector, alarm_threshold, difference_increments
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.event_coin import EventCoin, log_e_event
from analysis.paired import tango_interval
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState, asymptotic_cs, asymptotic_p_below
from analysis.srm import StageCounts, srm_log_bayes_factor
from analysis.two_sample import newcombe_interval
from experiments.config.records import Experiment, Goal, Guardrail, Monitor
from experiments.evidence import (
    Completeness,
    Evidence,
    Interval,
    Kind,
    Late,
    MetricEvidence,
    SplitEvidence,
    Verdict,
)
from experiments.ledger import ALL, MAX_SLICE_VALUES, RATIOS, Key, Ledger
from experiments.model import Phase
from experiments.scoring import ERRORS
from experiments.store import Outcome, StoredExchange, StoredFeedback

N_STAR = 500
"""Sample size at which the asymptotic confidence sequences are tightest; fixed: to tune it mid-test is invalid."""
BURN_IN = 100
"""Units before an asymptotic confidence sequence says anything."""
_LEVEL = 0.95


class Evaluator:
    """The evidence of one experiment's epoch, look by look.

    Args:
        experiment: Its metrics, slices and policy.
        epoch: The number of the epoch.
    """

    def __init__(self, experiment: Experiment, epoch: int) -> None:
        self.experiment = experiment
        self.epoch = epoch
        self.looks = 0
        self.ledger = Ledger(experiment)
        self._peaks: dict[tuple[str, ...], float] = {}
        self._running: dict[Key, Estimate | None] = {}
        self._least_p: dict[str, float] = {}
        self._weights = rollback_weights(experiment)
        self._detectors: dict[str, EDetector] = {}

    def look(
        self,
        now: float,
        stage: int,
        phase: Phase,
        exchanges: Sequence[StoredExchange],
        outcomes: Sequence[Outcome],
        feedback: Sequence[StoredFeedback],
    ) -> Evidence:
        """Fold what is new since the last look and return the evidence as of `now`."""
        self.ledger.add_exchanges(exchanges)
        self.ledger.add_outcomes(outcomes)
        self.ledger.add_feedback(feedback)
        self.ledger.close_units(now)
        self.looks += 1
        return self._evidence(now, stage, phase)

    def _evidence(self, now: float, stage: int, phase: Phase) -> Evidence:
        metrics = [*self._guardrails(), *self._goals(), *self._monitors()]
        family = _log_sum(
            math.log(row.weight) + row.log_e_harm for row in metrics if row.weight > 0 and row.log_e_harm is not None
        )
        ledger = self.ledger
        return Evidence(
            experiment=self.experiment.name,
            epoch=self.epoch,
            look=self.looks,
            at=now,
            stage=stage,
            phase=phase,
            units=ledger.units,
            stage_units=ledger.units_by_stage[stage],
            exchanges=ledger.live,
            served_by_treatment=ledger.served_by_treatment,
            pairs=max((c.pairs for c in ledger.pair_counts.values()), default=0),
            metrics=metrics,
            splits=[self._split("assigned", ledger.exposures), self._split("analysed", ledger.analysed)],
            completeness=[
                Completeness(variant=variant, complete=complete, due=due)
                for variant, (complete, due) in sorted(ledger.shadows.items())
            ],
            recent=ledger.recent.counts(now),
            late=tuple(self._late()) if phase is Phase.PROMOTED else (),
            log_e_family=family,
            peak_log_e_family=self._peak(("family",), family),
        )

    def _late(self) -> Iterator[Late]:
        """Feed the units that have just been closed to the detectors, one a guardrail; they share the alarm rate."""
        watched = [guardrail for guardrail in self.experiment.guardrails if guardrail.margin is not None]
        for guardrail in watched:
            _, tolerance = margins(guardrail, ALL)
            new = [value for metric, value in self.ledger.closing if metric == guardrail.name]
            detector = self._detectors.get(guardrail.name, EDetector())
            if new:
                detector = detector.after(difference_increments(new, -tolerance, "harm"))
            self._detectors[guardrail.name] = detector
            threshold = alarm_threshold(self.experiment.policy.late_alarm_units * len(watched))
            yield Late(metric=guardrail.name, units=detector.n, peak=detector.peak, threshold=threshold)

    # --- guardrails ---------------------------------------------------------------------------------------------------

    def _guardrails(self) -> Iterator[MetricEvidence]:
        for guardrail in self.experiment.guardrails:
            if guardrail.margin is not None:
                for slice_ in (ALL, *self.ledger.slices()):
                    yield self._paired(guardrail, slice_)
            if guardrail.max_relative is not None:
                yield self._event(guardrail)

    def _paired(self, guardrail: Guardrail, slice_: str) -> MetricEvidence:
        key = Key(guardrail.name, slice_)
        state = DifferenceCounts.of_counts(self.ledger.differences.get(key, {}))
        margin, tolerance = margins(guardrail, slice_)
        weight = self._weights[Kind.PAIRED, guardrail.name, bool(slice_)]
        harm, safe = log_e_harm(state, -tolerance), log_e_noninferior(state, -margin)
        interval = self._running_interval(key, state)
        row = self._describe(guardrail.name, "guardrail", Kind.PAIRED, key)
        return _with(
            row,
            units=state.n,
            estimate=state.mean if state.n else None,
            interval=_interval(interval),
            margin=margin,
            tolerance=tolerance,
            weight=weight,
            log_e_harm=harm,
            peak_log_e_harm=(harm_peak := self._peak(("harm", *key), harm)),
            log_e_any_loss=log_e_harm(state, 0.0),
            log_e_noninferior=safe,
            peak_log_e_noninferior=(safe_peak := self._peak(("safe", *key), safe)),
            **self._verdict(state.n, interval, harm_peak + math.log(weight), safe_peak),
        )

    def _verdict(
        self, units: int, interval: Estimate | NotEstimable, weighted_harm: float, safe: float
    ) -> dict[str, Any]:
        policy = self.experiment.policy
        if units == 0:
            return {"verdict": Verdict.NOT_ESTIMABLE, "reason": "no unit has been analysed yet"}
        if weighted_harm >= math.log(1 / policy.alpha_rollback):
            return {"verdict": Verdict.HARM}
        if isinstance(interval, NotEstimable):
            return {"verdict": Verdict.NOT_ESTIMABLE, "reason": interval.reason}
        if safe >= math.log(1 / policy.alpha_promote):
            return {"verdict": Verdict.NONINFERIOR}
        return {"verdict": Verdict.INSUFFICIENT}

    def _running_interval(self, key: Key, state: DifferenceCounts) -> Estimate | NotEstimable:
        if state.n == 0:
            return NotEstimable("no unit has been analysed yet")
        previous = self._running.get(key)
        if key in self._running and previous is None:
            return NotEstimable("assumptions violated: the running intersection is empty")
        current = intersect(previous, confidence_sequence(state, 1 - _LEVEL))
        self._running[key] = current if isinstance(current, Estimate) else None
        return current

    def _event(self, guardrail: Guardrail) -> MetricEvidence:
        counts = self.ledger.events.get(guardrail.name, Counter())
        state = EventCoin.of_counts(counts)
        log_e = log_e_event(state, guardrail.max_relative or 1.0)
        weight = self._weights[Kind.EVENT, guardrail.name, False]
        peak = self._peak(("event", guardrail.name), log_e)
        harm = peak + math.log(weight) >= math.log(1 / self.experiment.policy.alpha_rollback)
        return MetricEvidence(
            metric=guardrail.name,
            role="guardrail",
            kind=Kind.EVENT,
            verdict=Verdict.HARM if harm else Verdict.INSUFFICIENT,
            weight=weight,
            log_e_harm=log_e,
            peak_log_e_harm=peak,
            **self._event_rates(counts),
        )

    def _event_rates(self, counts: Any) -> dict[str, Any]:
        """Rates per assigned unit, pooled over stages only for display; the e-value never pools."""
        exposed = [sum(stage[arm] for stage in self.ledger.exposures.values()) for arm in (0, 1)]
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
            "fixed_interval": _interval(fixed),
        }

    # --- goals and monitors -------------------------------------------------------------------------------------------

    def _goals(self) -> Iterator[MetricEvidence]:
        for goal in self.experiment.goals:
            yield self._ratio(goal.name, ALL, goal)
            for slice_ in self.ledger.slices():
                yield self._ratio(goal.name, slice_, None)

    def _monitors(self) -> Iterator[MetricEvidence]:
        named = {guardrail.name for guardrail in self.experiment.guardrails}
        named |= {goal.name for goal in self.experiment.goals}
        for name in sorted({key.metric for key in self.ledger.moments} - named):
            yield self._ratio(name, ALL, None)
        for monitor in self.experiment.monitors:
            if monitor.name not in RATIOS:
                yield self._watched(monitor)

    def _ratio(self, name: str, slice_: str, goal: Goal | None) -> MetricEvidence:
        """Summarise log(treatment / control) over units; a goal asks for the geometric mean below 1 - better_by."""
        key = Key(name, slice_)
        moments = self.ledger.moments.get(key)
        state = MeanState(moments.n, moments.mean, moments.m2) if moments else MeanState(0, 0.0, 0.0)
        cautious = _cautious(state)
        interval = asymptotic_cs(cautious, 1 - _LEVEL, N_STAR, BURN_IN + 1)
        p_value = self._goal_p(goal, cautious) if goal else None
        row = self._describe(name, "goal" if goal else "monitor", Kind.RATIO, key)
        return _with(
            row,
            units=state.n,
            estimate=math.expm1(state.mean) if state.n else None,
            interval=_interval(interval, math.expm1),
            margin=goal.better_by if goal else None,
            p_value=p_value,
            **self._ratio_verdict(interval, p_value),
        )

    def _goal_p(self, goal: Goal, state: MeanState) -> float:
        p_value = asymptotic_p_below(state, math.log(1 - goal.better_by), N_STAR, BURN_IN + 1)
        self._least_p[goal.name] = min(self._least_p.get(goal.name, 1.0), p_value)
        return self._least_p[goal.name]

    def _ratio_verdict(self, interval: Estimate | NotEstimable, p_value: float | None) -> dict[str, Any]:
        level = self.experiment.policy.alpha_promote / max(1, len(self.experiment.goals))
        if p_value is not None and p_value <= level:
            return {"verdict": Verdict.SUPERIOR}
        if isinstance(interval, NotEstimable):
            return {"verdict": Verdict.NOT_ESTIMABLE, "reason": interval.reason}
        return {"verdict": Verdict.INSUFFICIENT}

    def _watched(self, monitor: Monitor) -> MetricEvidence:
        key = Key(monitor.name)
        state = DifferenceCounts.of_counts(self.ledger.differences.get(key, {}))
        interval = self._running_interval(key, state)
        row = self._describe(monitor.name, "monitor", Kind.PAIRED, key)
        missing = isinstance(interval, NotEstimable)
        return _with(
            row,
            units=state.n,
            estimate=state.mean if state.n else None,
            interval=_interval(interval),
            verdict=Verdict.NOT_ESTIMABLE if missing else Verdict.INSUFFICIENT,
            reason=interval.reason if isinstance(interval, NotEstimable) else "",
        )

    # --- shared -------------------------------------------------------------------------------------------------------

    def _describe(self, metric: str, role: str, kind: Kind, key: Key) -> dict[str, Any]:
        described: dict[str, Any] = {"metric": metric, "role": role, "kind": kind, "slice": key.slice}
        counts = self.ledger.pair_counts.get(key)
        if counts is None:
            return described
        described |= {
            "pairs": counts.pairs,
            "losses": counts.losses,
            "wins": counts.wins,
            "ties": counts.pairs - counts.losses - counts.wins,
            "control_mean": counts.control / counts.pairs,
            "treatment_mean": counts.treatment / counts.pairs,
        }
        if kind is Kind.PAIRED:
            fixed = tango_interval(counts.wins, counts.losses, counts.pairs)
            described["fixed_interval"] = _interval(fixed)
        return described

    def _split(self, name: str, strata: dict[tuple[int, int], list[int]]) -> SplitEvidence:
        stages = [(split, *counts) for (_, split), counts in sorted(strata.items()) if 0 < split < 10_000]
        log_bf = srm_log_bayes_factor(
            [StageCounts((control, treatment), (1 - s / 10_000, s / 10_000)) for s, control, treatment in stages]
        )
        peak = self._peak(("split", name), log_bf)
        return SplitEvidence(
            name=name,
            stages=[(split, control, treatment) for split, control, treatment in stages],
            log_bayes_factor=log_bf,
            peak_log_bayes_factor=peak,
            # Two tests (assigned, analysed) share the alpha.
            alarm=peak >= math.log(2 / self.experiment.policy.alpha_srm),
        )

    def _peak(self, key: tuple[str, ...], value: float) -> float:
        self._peaks[key] = max(self._peaks.get(key, 0.0), value)
        return self._peaks[key]


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


def _cautious(state: MeanState) -> MeanState:
    """Add one unit without any change: units that agree to the last bit must not look certain, nor be unusable.

    With fixed prices and equal answers, every unit saves exactly the same share: without variation there is no
    asymptotic interval. The one unit pulls towards "no change", so no claim of an improvement gains by it.
    """
    return state.merge(MeanState(1, 0.0, 0.0)) if state.n else state


def _with(described: dict[str, Any], **values: Any) -> MetricEvidence:
    return MetricEvidence(**described, **values)


def _interval(estimate: Estimate | NotEstimable, transform: Any = float) -> Interval | None:
    if isinstance(estimate, NotEstimable):
        return None
    ends = [transform(end) if math.isfinite(end) else None for end in (estimate.lower, estimate.upper)]
    return Interval(*ends)


def _log_sum(logs: Iterator[float]) -> float:
    """log(sum(exp(x))) without overflow; -inf is never returned, since JSON has no word for it."""
    values = list(logs)
    if not values:
        return 0.0
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


__all__ = ["BURN_IN", "ERRORS", "N_STAR", "Evaluator", "margins", "rollback_weights"]
