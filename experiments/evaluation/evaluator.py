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
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.event_coin import EventCoin, log_e_event
from analysis.result import Estimate, NotEstimable
from analysis.sequential import MeanState, asymptotic_cs, asymptotic_p_below
from analysis.srm import StageCounts, srm_log_bayes_factor
from experiments.config.records import Experiment, Goal, Guardrail, Monitor
from experiments.evaluation.late import LateWatch
from experiments.evaluation.ledger import ALL, RATIOS, Key, Ledger
from experiments.evaluation.response_rates import responses, unequal
from experiments.evaluation.row_parts import described, event_rates, interval_of, log_sum, with_one_unchanged
from experiments.evaluation.weights import margins, rollback_weights
from experiments.evidence import (
    RULES,
    Completeness,
    Evidence,
    Kind,
    Late,
    MetricEvidence,
    SplitEvidence,
    Verdict,
)
from experiments.model import Phase
from experiments.scoring.experiment_scorer import ERRORS
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
        self._late = LateWatch(experiment)
        self._rules = RULES

    def look(
        self,
        now: float,
        stage: int,
        phase: Phase,
        exchanges: Sequence[StoredExchange],
        outcomes: Sequence[Outcome],
        feedback: Sequence[StoredFeedback],
        *,
        rules: int = RULES,
    ) -> Evidence:
        """Fold what is new since the last look and return the evidence as of `now`.

        Args:
            now: Wall-clock time in seconds since the epoch.
            stage: Of the ramp.
            phase: Of the experiment.
            exchanges: In the order of the store, as are the others.
            outcomes: Of pairs.
            feedback: With the assignment of its exchanges.
            rules: Version of the rules by which rows are counted; a replay takes that of the stored look.
        """
        self._rules = rules
        self.ledger.begin_look(now, promoted=phase is Phase.PROMOTED, rules=rules)
        self.ledger.add_exchanges(exchanges)
        self.ledger.add_outcomes(outcomes)
        self.ledger.add_feedback(feedback)
        for metric in self.ledger.begun_anew:
            self._begin_anew(metric)
        self.ledger.close_units(now)
        self.looks += 1
        return self._evidence(now, stage, phase)

    def _begin_anew(self, metric: str) -> None:
        """Forget what was remembered of a metric, and of the family that it is in: its scorer has changed."""
        self._peaks.pop(("family",), None)
        for kind in ("harm", "safe"):
            for peak in [key for key in self._peaks if key[:2] == (kind, metric)]:
                del self._peaks[peak]
        for key in [key for key in self._running if key.metric == metric]:
            del self._running[key]
        self._least_p.pop(metric, None)
        self._late.begin_anew(metric)

    def _evidence(self, now: float, stage: int, phase: Phase) -> Evidence:
        metrics = [*self._guardrails(), *self._goals(), *self._monitors()]
        family = log_sum(
            math.log(row.weight) + row.log_e_harm for row in metrics if row.weight > 0 and row.log_e_harm is not None
        )
        ledger, told = self.ledger, self._rules >= 2
        return Evidence(
            rules=self._rules,
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
            late=self._late_rows() if phase is Phase.PROMOTED else (),
            responses=tuple(responses(ledger)) if told else (),
            unequal_responses=tuple(unequal(ledger)) if told else (),
            log_e_family=family,
            peak_log_e_family=self._peak(("family",), family),
        )

    def _late_rows(self) -> tuple[Late, ...]:
        return tuple(self._late.rows(self.ledger.closing, self.ledger.bad_events.late, self._rules))

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
        row = described(self.ledger, "guardrail", Kind.PAIRED, key, self._rules)
        return _with(
            row,
            units=state.n,
            estimate=state.mean if state.n else None,
            interval=interval_of(interval),
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
            **event_rates(self.ledger, counts),
        )

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
        cautious = with_one_unchanged(state)
        interval = asymptotic_cs(cautious, 1 - _LEVEL, N_STAR, BURN_IN + 1)
        p_value = self._goal_p(goal, cautious) if goal else None
        row = described(self.ledger, "goal" if goal else "monitor", Kind.RATIO, key, self._rules)
        return _with(
            row,
            units=state.n,
            estimate=math.expm1(state.mean) if state.n else None,
            interval=interval_of(interval, math.expm1),
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
        row = described(self.ledger, "monitor", Kind.PAIRED, key, self._rules)
        missing = isinstance(interval, NotEstimable)
        return _with(
            row,
            units=state.n,
            estimate=state.mean if state.n else None,
            interval=interval_of(interval),
            verdict=Verdict.NOT_ESTIMABLE if missing else Verdict.INSUFFICIENT,
            reason=interval.reason if isinstance(interval, NotEstimable) else "",
        )

    # --- shared -------------------------------------------------------------------------------------------------------

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


def _with(row: dict[str, Any], **values: Any) -> MetricEvidence:
    return MetricEvidence(**row, **values)


__all__ = ["BURN_IN", "ERRORS", "N_STAR", "Evaluator", "margins", "rollback_weights"]
