"""How long until a decision, in words, or why that cannot be told. Pure; nothing here decides anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from analysis.eprocess import DifferenceCounts
from analysis.forecast import Forecast, Outlook, forecast
from experiments.config.records import Experiment
from experiments.evidence import Code, Evidence, Kind, MetricEvidence, Verdict
from experiments.explain import called, where
from experiments.model import ENDED, Phase
from experiments.showing.numbers import limit, span
from experiments.showing.standing import Standing

_SECONDS_PER_DAY = 86_400


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """The time until the evidence can decide."""

    text: str
    days: float | None = None
    """From the newest look; None where it cannot be told."""
    why_not: str = ""
    """Why it cannot be told; empty if it can."""


class _Missing(msgspec.Struct, frozen=True):
    """One thing that is waited for."""

    days: float | None
    text: str


def time_to_decision(standing: Standing) -> Wait:
    """Return how long the experiment will go on, if things stay as they are."""
    if standing.phase in ENDED:
        return Wait(text="decided", days=0.0)
    if standing.phase is not Phase.RUNNING:
        return _unknown(f"it does not run ({standing.phase.replace('_', ' ')})")
    look, days = standing.look, standing.days_run
    if look is None or not look.evidence.units or not days:
        return _unknown("nothing has been compared yet")
    waits = [*_proofs(standing, days), *_fixed(standing, days)]
    endless = [wait for wait in waits if wait.days is None]
    if endless:
        return _unknown(endless[0].text)
    if not waits:
        return Wait(text="at the next look, if nothing changes", days=0.0)
    longest = max(waits, key=lambda wait: wait.days or 0.0)
    longest_days = longest.days or 0.0
    return Wait(text=f"about {span(longest_days)}, if things stay as they are: {longest.text}", days=longest_days)


def _unknown(why: str) -> Wait:
    return Wait(text=f"cannot tell: {why}", why_not=why)


# --- what must be proven ----------------------------------------------------------------------------------------------


def _proofs(standing: Standing, days: float) -> Iterator[_Missing]:
    """Yield what each guardrail that is not proven yet will take."""
    look = standing.look
    if look is None:
        return
    counts = _differences(look.state)
    for row in _awaited(standing.experiment, look.evidence):
        yield _proof(standing.experiment, row, counts.get((row.metric, row.slice), {}), days)
    if any(reason.code is Code.GOAL_NOT_REACHED for reason in look.decision.reasons):
        yield _Missing(None, "no goal is reached yet, and when one will be is not forecast")


def _awaited(experiment: Experiment, evidence: Evidence) -> list[MetricEvidence]:
    policy = experiment.policy
    quality = {guardrail.name for guardrail in experiment.guardrails if guardrail.scorer is not None}

    def waits(row: MetricEvidence) -> bool:
        if row.role != "guardrail" or row.kind is not Kind.PAIRED or row.verdict is Verdict.NONINFERIOR:
            return False
        if not row.slice:
            return True
        attribute = row.slice.partition("=")[0]
        protected = attribute in policy.protected_slices and row.slice not in policy.waived_slices
        return protected and row.metric in quality

    return [row for row in evidence.metrics if waits(row)]


def _differences(state: Mapping[str, Any]) -> dict[tuple[str, str], dict[float, int]]:
    """Return (metric, slice) -> value -> units, from the state of a look."""
    return {
        (metric, slice_): {float(value): int(n) for value, n in counts}
        for metric, slice_, counts in state.get("differences", [])
    }


def _proof(experiment: Experiment, row: MetricEvidence, counts: Mapping[float, int], days: float) -> _Missing:
    place = f" in {where(row.slice)}" if row.slice else ""
    subject = f"{called(row.metric)}{place}"
    if not row.units or not counts or not row.margin:
        return _Missing(None, f"{subject} has not been measured yet")
    per_day = row.units / days
    state = DifferenceCounts.of_counts(counts)
    available = max(row.units, round(per_day * experiment.policy.max_days))
    found = forecast(state, -row.margin, "noninferiority", experiment.policy.alpha_promote, per_day, available)
    if not isinstance(found, Forecast):
        return _Missing(None, f"{subject}: {found.reason}")
    return _Missing(*_outlook(found, subject, row.margin))


def _outlook(found: Forecast, subject: str, margin: float) -> tuple[float | None, str]:
    ruled_out = f"until a loss of {limit(margin)} in {subject} is ruled out"
    match found.outlook:
        case Outlook.DECIDED:
            return 0.0, ruled_out
        case Outlook.ON_COURSE:
            return found.days_left, ruled_out
        case Outlook.NO_GROWTH:
            return None, f"as {subject} stands, it is not on the way to a proof that no {limit(margin)} are lost"
        case _:
            return None, f"{subject} will probably not be decided in time: {found.arithmetic}"


# --- what must pass ---------------------------------------------------------------------------------------------------


def _fixed(standing: Standing, days: float) -> Iterator[_Missing]:
    """Yield what must pass in any case: the least time, the least number of units, the stages of the ramp."""
    look, state = standing.look, standing.state
    if look is None or state is None:
        return
    policy, evidence = standing.experiment.policy, look.evidence
    if policy.min_days > days:
        yield _Missing(policy.min_days - days, f"it runs for {span(policy.min_days)} at least")
    if policy.min_units > evidence.units:
        yield _Missing(
            (policy.min_units - evidence.units) * days / evidence.units,
            f"{policy.min_units:,} units are needed at least",
        )
    stages = len(standing.experiment.ramp) - 1 - state.route.stage
    if stages > 0:
        by_time = policy.stage_min_minutes * 60 / _SECONDS_PER_DAY
        by_units = policy.stage_min_units * days / evidence.units
        yield _Missing(stages * max(by_time, by_units), f"{stages} more stages of the ramp")
