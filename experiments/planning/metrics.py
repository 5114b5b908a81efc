"""One question of a plan: how long until this metric is decided in this slice, and what will be seen at all. Pure.

Records, and metrics of pairs: these follow `analysis.decision_time`, whose figures are those of the e-process that
decides. Events and goals are in `experiments.planning.crossings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from analysis.betting import Side
from analysis.decision_time import TimeToDecision, decision_probability, expected_time_to_decision
from analysis.forecast import minimum_detectable_harms, smallest_decidable_margin
from analysis.power import split_discordance
from analysis.result import NotEstimable

POWER = 0.8
"""Chance with which the smallest detectable harm, ratio or gain is seen."""
MOST_UNITS = 10**9
_LOOKS = 100
"""Of a computed chance; the controller looks more often, and would decide a little sooner."""


class Question(StrEnum):
    """What is to be decided."""

    SAFE = "safe"
    """That a loss of the margin is ruled out, if there is no loss: needed for promotion."""
    HARM = "harm"
    """That the treatment loses more than tolerated, if it loses the margin: a rollback."""
    EVENTS = "events"
    """That bad events are more frequent than allowed, if they are twice as frequent as that: a rollback."""
    GOAL = "goal"
    """That the goal is reached, if the gain is as expected: needed for promotion."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Units and days until a decision; in one of two experiments sooner than the median."""

    median_units: float
    ninetieth_units: float
    """Nine of ten experiments have decided by then."""
    median_days: float
    ninetieth_days: float


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """What to expect of one metric in one slice; where `missing` is not empty, nothing else could be computed."""

    metric: str
    question: Question
    slice: str = ""
    limit: float = 0.0
    """The margin, the tolerance, the highest ratio of events, or the gain asked for."""
    truth: float = 0.0
    """What is assumed: no loss, a loss, a ratio of events, or a gain."""
    units_available: int = 0
    """Until `max_days`."""
    wait: Wait | None = None
    chance: float | None = None
    """Of a decision until `max_days`."""
    smallest: float | None = None
    """The smallest margin that can be ruled out, or the smallest loss, ratio or gain that can be seen until then; None
    where none can."""
    missing: str = ""
    """Why it cannot be told."""


@dataclass(frozen=True, slots=True)
class Supply:
    """The units of a slice."""

    per_day: float
    max_days: float

    @property
    def available(self) -> int:
        """Units until the time limit."""
        return min(MOST_UNITS, math.floor(self.per_day * self.max_days + 1e-9))

    def wait(self, median: float, ninetieth: float) -> Wait:
        """Translate units into days."""
        return Wait(median, ninetieth, median / self.per_day, ninetieth / self.per_day)


# --- pairs ------------------------------------------------------------------------------------------------------------


def plan_safe(metric: str, slice_: str, margin: float, discordance: float, alpha: float, supply: Supply) -> MetricPlan:
    """Plan the proof that a loss of the margin is ruled out, for a treatment that is as good as control.

    Args:
        metric: Its name.
        slice_: Its slice, empty for all traffic.
        margin: Loss to rule out.
        discordance: Share of pairs of which only one answer is right.
        alpha: Level of the promotion.
        supply: The units.
    """
    half, n = discordance / 2, supply.available
    found = _time(half, half, alpha, -margin, "noninferiority")
    if isinstance(found, NotEstimable):
        return MetricPlan(metric, Question.SAFE, slice_, margin, missing=found.reason)
    smallest = smallest_decidable_margin(n, discordance, alpha)
    return MetricPlan(
        metric,
        Question.SAFE,
        slice_,
        limit=margin,
        units_available=n,
        wait=supply.wait(found.median, found.ninetieth),
        chance=_chance(n, half, half, alpha, -margin, "noninferiority"),
        smallest=None if isinstance(smallest, NotEstimable) else smallest,
    )


def plan_harm(
    metric: str, slice_: str, margin: float, tolerance: float, discordance: float, alpha: float, supply: Supply
) -> MetricPlan:
    """Plan the rollback of a treatment that loses the margin, or twice the tolerance where that is more.

    Args:
        metric: Its name.
        slice_: Its slice, empty for all traffic.
        margin: The loss that is ruled out for a promotion.
        tolerance: The loss that is accepted.
        discordance: Share of discordant pairs; the loss brings its own where it is larger.
        alpha: Level of the rollback, weight of the metric and slice included.
        supply: The units.
    """
    loss, n = min(1.0, max(margin, 2 * tolerance)), supply.available
    p_loss, p_win = split_discordance(discordance, loss)
    found = _time(p_loss, p_win, alpha, -tolerance, "harm")
    if isinstance(found, NotEstimable):
        return MetricPlan(metric, Question.HARM, slice_, tolerance, loss, missing=found.reason)
    detectable = float(minimum_detectable_harms(n, discordance, alpha, tolerance, POWER))
    return MetricPlan(
        metric,
        Question.HARM,
        slice_,
        limit=tolerance,
        truth=loss,
        units_available=n,
        wait=supply.wait(found.median, found.ninetieth),
        chance=_chance(n, p_loss, p_win, alpha, -tolerance, "harm"),
        smallest=detectable if math.isfinite(detectable) else None,
    )


@cache
def _time(p_loss: float, p_win: float, alpha: float, null_mean: float, side: Side) -> TimeToDecision | NotEstimable:
    """Return the time to a decision, once for all the slices that differ in their traffic alone."""
    return expected_time_to_decision(p_loss, p_win, alpha, null_mean, side)


def _chance(n: int, p_loss: float, p_win: float, alpha: float, null_mean: float, side: Side) -> float:
    """Return the chance of a decision within `n` units, at looks rare enough to be computed quickly."""
    return decision_probability(n, p_loss, p_win, alpha, null_mean, side, look_every=max(1, n // _LOOKS))
