"""Plans of events and goals: the chance of having crossed, by each look, what must be reached there. Pure.

What must be reached is a curve, the sum over units is close to a Brownian motion, and the chance of having crossed the
curve comes from the recursion of `analysis.group_sequential`, as in `analysis.decision_time` for pairs. Medians are
within 6 % of what simulation finds for events, and 10 % for goals, on the high side. The smallest effect that is
seen counts the last look alone, so it errs on the large side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from statistics import NormalDist

from analysis.event_coin import log_e_event_counts
from analysis.group_sequential import crossing_probabilities
from analysis.sequential import p_one_sided
from experiments.evaluation.evaluator import BURN_IN, N_STAR
from experiments.planning.metrics import MOST_UNITS, POWER, MetricPlan, Question, Supply

_HALVINGS = 40
_LOOKS = 50
_SPACING = 1.03
"""Ratio of one computed look to the one before."""
_HIGHEST_Z, _SURE_Z = 100.0, 8.0
"""Standard deviations that stand for infinity, and for certainty."""


def plan_events(
    metric: str, rate: float, split: float, max_relative: float, alpha: float, supply: Supply
) -> MetricPlan:
    """Plan the rollback of a treatment with twice as many bad events as allowed.

    Args:
        metric: Its name.
        rate: Share of control's units with a bad event, above 0.
        split: Share of the units that are the treatment's, in (0, 1).
        max_relative: Highest accepted ratio of the treatment's rate to control's.
        alpha: Level of the rollback, weight of the metric included.
        supply: The units.
    """
    ratio = min(2 * max_relative, 1 / rate)
    if ratio <= max_relative:
        missing = f"{100 * rate:.0f} % of control's units have one already, {max_relative:g} times as many cannot be"
        return MetricPlan(metric, Question.EVENTS, "", max_relative, ratio, missing=missing)

    def barrier(units: float, relative: float) -> float:
        shares = (1 - split) * rate, split * rate * relative
        return _event_barrier(units * sum(shares), shares[1] / sum(shares), split, max_relative, alpha)

    row = MetricPlan(metric, Question.EVENTS, "", max_relative, ratio, supply.available)
    return _completed(
        row,
        supply,
        lambda units: barrier(units, ratio),
        _smallest(lambda relative: barrier(supply.available, relative), max_relative, 1 / rate),
    )


def _event_barrier(events: float, heads: float, split: float, max_relative: float, alpha: float) -> float:
    """Return how far above its expectation the treatment's count must be to show it, in standard deviations.

    Args:
        events: Of both variants.
        heads: Chance that one is the treatment's.
        split: The same, if the variants were equal.
        max_relative: Highest accepted ratio.
        alpha: Level.
    """
    threshold = -math.log(alpha)

    def shown(treatment: float) -> bool:
        return float(log_e_event_counts(events - treatment, treatment, split, max_relative)) >= threshold

    if not shown(events):
        return math.inf
    needed = _least(shown, 0.0, events)
    return (needed - events * heads) / math.sqrt(events * heads * (1 - heads))


# --- goals ------------------------------------------------------------------------------------------------------------


def plan_goal(metric: str, better_by: float, gain: float, spread: float, level: float, supply: Supply) -> MetricPlan:
    """Plan the proof that a goal is reached, if the gain is as expected.

    Args:
        metric: Its name.
        better_by: The gain asked for, as a share.
        gain: The gain expected.
        spread: Standard deviation of log(treatment / control) among units.
        level: Of the goal's p-value.
        supply: The units.
    """
    row = MetricPlan(metric, Question.GOAL, "", better_by, gain, supply.available)
    if gain <= better_by:
        missing = f"the expected gain of {100 * gain:.3g} % is not above the {100 * better_by:g} % asked for"
        return replace(row, chance=level, missing=missing)
    return _completed(
        row,
        supply,
        lambda units: _goal_barrier(units, better_by, gain, spread, level),
        _smallest(lambda g: _goal_barrier(supply.available, better_by, g, spread, level), better_by, 1 - 1e-6),
    )


def _goal_barrier(units: float, better_by: float, gain: float, spread: float, level: float) -> float:
    """Return how far above its expectation the sum of the gains must be to show it, in standard deviations.

    As in the evaluation, one unit without any gain is added, and nothing is said during the burn-in.
    """
    if units < BURN_IN:
        return math.inf
    mean, null = math.log1p(-gain), math.log1p(-better_by)
    sd = math.sqrt(((units - 1) * spread**2 + mean**2 * units / (units + 1)) / units)
    z = _least(lambda score: p_one_sided(score, round(units) + 1, N_STAR) <= level, 0.0, _HIGHEST_Z)
    excess = z * sd * math.sqrt(units + 1) - null - units * (null - mean)
    return excess / (spread * math.sqrt(units)) if spread else math.copysign(math.inf, excess)


# --- shared -----------------------------------------------------------------------------------------------------------


def _completed(
    row: MetricPlan, supply: Supply, barrier: Callable[[float], float], smallest: float | None
) -> MetricPlan:
    """Fill in the wait and the chance, from the barrier after so many units."""
    expected = _first_units(barrier)
    if expected is None:
        return replace(row, units_available=0, missing=f"not even {MOST_UNITS:.0e} units would decide it")
    looks, decided = _crossing(barrier, max(1.0, expected / 10), 8.0 * expected)
    n = supply.available
    return replace(
        row,
        wait=supply.wait(_first_at_least(looks, decided, 0.5), _first_at_least(looks, decided, 0.9)),
        chance=min(1.0, _crossing(barrier, max(1.0, n / _LOOKS), n)[1][-1]) if n else 0.0,
        smallest=smallest,
    )


def _crossing(barrier: Callable[[float], float], start: float, end: float) -> tuple[list[int], list[float]]:
    """Return looks, in units, and the chance of having crossed the barrier by each."""
    steps = math.ceil(math.log(end / start) / math.log(_SPACING)) if end > start else 0
    looks = sorted({min(round(start * _SPACING**step), math.floor(end)) for step in range(steps + 1)})
    z = [min(_HIGHEST_Z, max(-_HIGHEST_Z, barrier(units))) for units in looks]
    first = next((index for index, height in enumerate(z) if height <= -_SURE_Z), len(z))
    stops = crossing_probabilities([units / looks[-1] for units in looks[:first]], z[:first]).upper if first else ()
    decided = list(accumulate(stops))
    return looks, decided + [1.0] * (len(looks) - first)


def _first_at_least(looks: list[int], decided: list[float], share: float) -> int:
    return next((units for units, chance in zip(looks, decided, strict=True) if chance >= share), looks[-1])


def _first_units(barrier: Callable[[float], float]) -> int | None:
    """Return the fewest units that can be expected to cross the barrier."""
    high = 1
    while barrier(high) > 0:
        high *= 2
        if high > MOST_UNITS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if barrier(middle) <= 0 else (middle, high)
    return high


def _smallest(barrier: Callable[[float], float], floor: float, ceiling: float) -> float | None:
    """Return the smallest effect above the floor that is seen with `POWER`; None if not even the largest is."""
    tail = -NormalDist().inv_cdf(POWER)
    if ceiling <= floor or barrier(ceiling) > tail:
        return None
    return _least(lambda effect: barrier(effect) <= tail, floor, ceiling)


def _least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return the least value at which it holds, if it does at `high`, and from some value on."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
