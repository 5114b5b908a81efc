"""What would change the decision: what is missing for a promotion, and what would take the treatment back. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from experiments.config.records import Experiment
from experiments.evidence import Code, Evidence, Kind, MetricEvidence, Reason, Verdict
from experiments.explain import called, sentence, where
from experiments.model import ENDED, Phase
from experiments.showing.metric_rows import harm_threshold
from experiments.showing.numbers import limit, rounded, span
from experiments.showing.standing import Standing

_SECONDS_PER_DAY = 86_400


def what_would_change(standing: Standing) -> list[str]:
    """Return sentences: what has to happen for another decision, the nearest first."""
    phase, experiment = standing.phase, standing.experiment
    if phase in ENDED:
        return [_after_the_end(phase, experiment)]
    if phase is Phase.PAUSED:
        return ["Somebody has to resume it; until then control serves everyone."]
    if phase is Phase.GATED:
        return ["It starts by itself once nothing is missing at its gate."]
    evidence, decision = standing.evidence, standing.decision
    if evidence is None or decision is None:
        return ["The first look that finds compared answers."]
    missing = [_needed(reason) for reason in decision.reasons]
    return [*(text for text in missing if text), *_back(experiment, evidence)]


def _after_the_end(phase: Phase, experiment: Experiment) -> str:
    if phase is not Phase.PROMOTED:
        return "Nothing by itself: control serves everyone. Another build or configuration starts a new epoch."
    if experiment.policy.holdback_percent:
        held_back = f"{experiment.policy.holdback_percent:g} % of the users"
        return f"Harm that begins now takes the promotion back: {held_back} stay with control and go on being compared."
    return "Only a treatment that plainly fails, or a person: no holdback is kept, so nothing is compared any more."


def _needed(reason: Reason) -> str:
    said = _NEEDED.get(reason.code)
    if said is None:
        return ""
    text = said(reason)
    return f"{text[:1].upper()}{text[1:]}."


def _evidence(value: float | None, threshold: float | None) -> str:
    if value is None or threshold is None:
        return "no evidence so far"
    return f"evidence of {_times(value)}, {_times(threshold)} are needed"


def _times(log_e: float) -> str:
    """Write an e-value for people.

    >>> _times(math.log(40)), _times(math.log(1.26)), _times(-9.0), _times(60.0)
    ('40 times', '1.3 times', 'less than 0.1 times', 'more than a million times')
    """
    if log_e > math.log(1e6):
        return "more than a million times"
    return "less than 0.1 times" if log_e < math.log(0.1) else f"{rounded(math.exp(log_e))} times"


def _proof(reason: Reason) -> str:
    place = f" in {where(reason.slice)}" if reason.slice else ""
    loss = f"a loss of {limit(reason.margin or 0.0)} or more in {called(reason.metric)}{place}"
    return f"a promotion needs {loss} to be ruled out: {_evidence(reason.value, reason.threshold)}"


def _goal(reason: Reason) -> str:
    asked = f" by {100 * reason.margin:.6g} %" if reason.margin else ""
    return f"a promotion needs one goal: {reason.metric} is not yet shown to be lower{asked}"


def _units(reason: Reason) -> str:
    left = max(0, round((reason.threshold or 0.0) - (reason.units or 0)))
    return f"{left:,} more units have to be compared"


def _time(reason: Reason) -> str:
    left = max(0.0, (reason.threshold or 0.0) - (reason.value or 0.0))
    return f"{span(left / _SECONDS_PER_DAY)} more have to pass"


_NEEDED: dict[Code, Callable[[Reason], str]] = {
    Code.NOT_YET_NONINFERIOR: _proof,
    Code.SLICE_NOT_SAFE: _proof,
    Code.GOAL_NOT_REACHED: _goal,
    Code.TOO_FEW_UNITS: _units,
    Code.TOO_EARLY: _time,
    Code.SPLIT_MISMATCH: lambda r: f"{sentence(r)}; a new epoch starts the count anew",
    Code.INCOMPLETE: sentence,
    Code.SCORING_INCOMPLETE: sentence,
    Code.RECORDING_SHED: sentence,
    Code.CONTROL_FAILING: sentence,
    Code.ANY_LOSS: sentence,
    Code.SLICE_HARM: sentence,
    Code.ASSUMPTIONS_VIOLATED: sentence,
}


def _back(experiment: Experiment, evidence: Evidence) -> Iterator[str]:
    """Yield what would roll it back, with the metric that is nearest to it."""
    rows = [row for row in evidence.metrics if row.weight > 0 and row.verdict is not Verdict.HARM]
    if not rows:
        return
    verb = "rolled back" if experiment.policy.on_harm == "rollback" else "paused"
    nearest = max(rows, key=lambda row: _share(experiment, row))
    more = "more bad events than tolerated" if nearest.kind is Kind.EVENT else _beyond(nearest)
    yield (
        f"It is {verb} as soon as harm beyond what is tolerated is proven in any guardrail. The nearest is "
        f"{called(nearest.metric)}, {where(nearest.slice)}, at {more}: "
        f"{_evidence(nearest.peak_log_e_harm, harm_threshold(experiment.policy, nearest))}."
    )


def _beyond(row: MetricEvidence) -> str:
    return f"a loss of more than {limit(row.tolerance)}" if row.tolerance else "any loss"


def _share(experiment: Experiment, row: MetricEvidence) -> float:
    return (row.peak_log_e_harm or 0.0) / (harm_threshold(experiment.policy, row) or math.inf)
