"""What a running test can detect now, and when it will decide: minimum detectable harm, live forecast, undecidable.

For planning and display: nothing here decides anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.betting import GRID, Floats, Side, check_side, log_mean_exp
from analysis.checks import check_count, check_null_mean, check_positive, check_probability, check_share
from analysis.decision_time import PairedTruth, expected_log_e
from analysis.eprocess import DifferenceCounts
from analysis.rendering import Rendered
from analysis.result import NotEstimable

_HALVINGS = 50


def minimum_detectable_harms(
    n: ArrayLike, second_moment: ArrayLike, alpha: ArrayLike, tolerance: ArrayLike = 0.0, power: float = 0.8
) -> Floats:
    """Return the smallest losses, as positive numbers, that so many units show with the given power; inf if none.

    A loss counts as shown if E reaches 1/alpha at this very look, with losses in excess as low as they are in one of
    1 / (1 - power) experiments. A crossing at an earlier look is not counted: the figure errs on the large side.

    Args:
        n: Units, any shape that broadcasts with the others.
        second_moment: Mean of the squared difference: the discordance, for binary pairs.
        alpha: Level, weight of the metric and slice included.
        tolerance: Loss that is accepted, in [0, 1).
        power: Wanted chance of seeing it, at least 0.5.

    Returns:
        The shape that the arguments broadcast to.

    Raises:
        ValueError: An argument is out of range.

    >>> minimum_detectable_harms([0, 300, 4000], 0.06, 0.05).round(3).tolist()
    [inf, 0.053, 0.015]
    """
    if not 0.5 <= power < 1:
        raise ValueError(f"power == {power!r}, must be in [0.5, 1)")
    units, moment, level, floor = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (n, second_moment, alpha, tolerance))
    )
    _check_all(units, units >= 0, "n", ">= 0")
    _check_all(moment, (moment >= 0) & (moment <= 1), "second_moment", "in [0, 1]")
    _check_all(level, (level > 0) & (level < 1), "alpha", "in (0, 1)")
    _check_all(floor, (floor >= 0) & (floor < 1), "tolerance", "in [0, 1)")
    threshold, z = -np.log(level), float(norm.ppf(power))

    def shown(harm: Floats) -> NDArray[np.bool_]:
        discordant = np.maximum(moment, harm)
        spread = z * np.sqrt(units * np.maximum(0.0, discordant - harm**2))
        excess = np.maximum(units * harm - spread, -units * discordant)
        return np.asarray(expected_log_e(units, discordant, excess, -floor) >= threshold)

    low, high = floor.copy(), np.ones_like(floor)
    possible = shown(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = shown(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.where(possible, high, np.inf))


# --- the live forecast ------------------------------------------------------------------------------------------------


class Outlook(StrEnum):
    """Where a running test is going."""

    DECIDED = "decided"
    """E has reached 1/alpha."""
    ON_COURSE = "on course"
    """E grows, and gets there in time if things stay as they are."""
    TOO_LATE = "too late"
    """E grows, but not fast enough for the units that are available."""
    NO_GROWTH = "no growth"
    """At the current estimate E does not grow: the data do not speak for it."""
    UNDECIDABLE = "undecidable"
    """At this margin and traffic, even an equal treatment would rather not be shown to be one."""


@dataclass(frozen=True, slots=True)
class Forecast(Rendered):
    """When a running test will decide, if the rates stay what they have been."""

    outlook: Outlook
    log_e: float
    threshold: float
    """log(1 / alpha)."""
    growth: float
    """Growth of log E per unit with the best bet of the grid, in nats."""
    best_bet: float
    """That bet, as a share of the largest admissible one."""
    units_left: float | None
    """Until the threshold is reached; None if E does not grow."""
    days_left: float | None
    """None without traffic figures or growth."""
    units_available: int | None
    """Largest number of units, those analysed so far included."""
    smallest_margin: float | None
    """Smallest margin that so many units decide if there is no difference; None where it does not apply."""
    arithmetic: str
    """How the outlook comes about, with its numbers."""
    n: int
    method: str = "growth rate of the observed differences"
    assumptions: tuple[str, ...] = ("the rates stay what they have been",)


def forecast(
    state: DifferenceCounts,
    null_mean: float,
    side: Side,
    alpha: float,
    units_per_day: float | None = None,
    units_available: int | None = None,
) -> Forecast | NotEstimable:
    """Return when the e-process will decide, at its present rate of growth.

    The units left solve log E(n + units) = log(1/alpha) with the observed histogram scaled up. With one bet ahead of
    the others this is (log(1/alpha) - log E) / growth; before that it is a little more, since the mixture has to learn
    which bet is best.

    Args:
        state: The differences so far.
        null_mean: Boundary of the null hypothesis: -tolerance for `harm`, -margin for `noninferiority`.
        side: As in `analysis.eprocess.log_e_betting`.
        alpha: Level, weight of the metric and slice included.
        units_per_day: Traffic.
        units_available: Largest number of units that the experiment may use, those so far included.

    Raises:
        ValueError: An argument is out of range.

    >>> state = DifferenceCounts.from_ltw(losses=15, ties=470, wins=15)
    >>> found = forecast(state, -0.02, "noninferiority", 0.025, units_per_day=100, units_available=1000)
    >>> found.outlook, round(found.smallest_margin, 3)
    (<Outlook.UNDECIDABLE: 'undecidable'>, 0.026)
    >>> found.arithmetic
    'with 1000 units and a discordance of 6.1 %, an equal treatment can be expected to \
reach a margin of 2.6 pp, not 2 pp, which needs about 1689 units, 16.9 days'
    """
    check_null_mean(null_mean)
    check_share(alpha, "alpha")
    if units_per_day is not None:
        check_positive(units_per_day, "units_per_day")
    if units_available is not None:
        check_count(units_available, "units_available")
    if state.n == 0:
        return NotEstimable("no unit has been analysed yet")
    capitals = _capitals(state, null_mean, check_side(side))
    left = _units_left(capitals, state.n, math.log(1 / alpha))
    margin = _margin_at_end(state, null_mean, side, alpha, units_available)
    outlook = _outlook(left, state.n, units_available, margin, -null_mean)
    days = None if left is None or units_per_day is None else left / units_per_day
    if outlook is Outlook.UNDECIDABLE:
        arithmetic = _undecidable(state, margin or 0.0, null_mean, alpha, units_available or 0, units_per_day)
    else:
        arithmetic = _arithmetic(outlook, left, days, state.n, units_available)
    return Forecast(
        outlook=outlook,
        log_e=float(log_mean_exp(capitals)),
        threshold=math.log(1 / alpha),
        growth=float(capitals.max()) / state.n,
        best_bet=float(GRID[int(capitals.argmax())]),
        units_left=left,
        days_left=days,
        units_available=units_available,
        smallest_margin=margin,
        arithmetic=arithmetic,
        n=state.n,
    )


def smallest_decidable_margin(n: int, second_moment: float, alpha: float) -> float | NotEstimable:
    """Return the smallest margin that the e-process decides at `n` units if there is no difference at all.

    It is the one-sided half-width of the confidence sequence at `n`, with every count at its expectation.

    Args:
        n: Units.
        second_moment: Mean of the squared difference: the discordance, for binary pairs.
        alpha: Level, weight of the metric and slice included.

    Raises:
        ValueError: An argument is out of range.

    >>> round(smallest_decidable_margin(1414, 0.06, 0.05), 3)
    0.02
    """
    check_count(n, "n")
    check_probability(second_moment, "second_moment")
    check_share(alpha, "alpha")

    def missing(margin: float) -> float:
        return float(expected_log_e(n, second_moment, 0.0, margin)) + math.log(alpha)

    edge = 1 - 1e-9
    if missing(edge) < 0:
        return NotEstimable(f"no margin below 1 can be decided with {n} units")
    return float(brentq(missing, 0.0, edge, xtol=1e-12))


def _capitals(state: DifferenceCounts, null_mean: float, side: Side) -> Floats:
    """Return the log capital of each bet, shape (bets,)."""
    values, counts = state.arrays()
    sign = 1.0 if side == "harm" else -1.0
    null, x = sign * null_mean, sign * values
    return np.asarray(np.log1p(GRID[:, None] * ((null - x) / (1 - null))) @ counts)


def _units_left(capitals: Floats, n: int, threshold: float) -> float | None:
    """Return the units until log E reaches the threshold: 0 if it has, None if it does not grow."""

    def missing(units: float) -> float:
        return float(log_mean_exp(capitals * (1 + units / n))) - threshold

    if missing(0.0) >= 0:
        return 0.0
    growth = float(capitals.max()) / n
    if growth <= 0:
        return None
    # The mixture is at most log(number of bets) behind its best bet.
    most = (threshold + math.log(len(GRID))) / growth
    return float(brentq(missing, 0.0, most, xtol=1e-6))


def _margin_at_end(
    state: DifferenceCounts, null_mean: float, side: Side, alpha: float, units: int | None
) -> float | None:
    if units is None or side == "harm" or null_mean >= 0:
        return None
    found = smallest_decidable_margin(units, _second_moment(state), alpha)
    return 1.0 if isinstance(found, NotEstimable) else found


def _second_moment(state: DifferenceCounts) -> float:
    """Return the mean squared difference; half a unit is added, so that none seen is not taken for none to come."""
    values, counts = state.arrays()
    return (float(values**2 @ counts) + 0.5) / (state.n + 1)


def _outlook(left: float | None, n: int, available: int | None, smallest: float | None, margin: float) -> Outlook:
    if left == 0:
        return Outlook.DECIDED
    if smallest is not None and smallest > margin:
        # Luck may still bring a decision, but nobody should wait for it.
        return Outlook.UNDECIDABLE
    if left is None:
        return Outlook.NO_GROWTH
    if available is not None and n + left > available:
        return Outlook.TOO_LATE
    return Outlook.ON_COURSE


def _arithmetic(outlook: Outlook, left: float | None, days: float | None, n: int, available: int | None) -> str:
    if left is None:
        return f"after {n} units the estimate does not lie beyond the boundary"
    if outlook is Outlook.DECIDED:
        return f"decided after {n} units"
    text = f"about {math.ceil(left)} more units at the present rate"
    if days is not None:
        text += f", {days:.1f} days"
    if outlook is Outlook.TOO_LATE and available is not None:
        text += f"; only {max(0, available - n)} of {available} are left"
    return text


def _undecidable(
    state: DifferenceCounts,
    smallest: float,
    null_mean: float,
    alpha: float,
    available: int,
    units_per_day: float | None,
) -> str:
    moment = _second_moment(state)
    needed = PairedTruth(moment / 2, moment / 2, -null_mean).time(math.log(1 / alpha))
    if math.isinf(needed):
        cost = "for which no number of units is enough"
    else:
        days = "" if units_per_day is None else f", {needed / units_per_day:.1f} days"
        cost = f"which needs about {math.ceil(needed)} units{days}"
    return (
        f"with {available} units and a discordance of {100 * moment:.2g} %, an equal treatment can be expected to "
        f"reach a margin of {100 * smallest:.2g} pp, not {-100 * null_mean:.3g} pp, {cost}"
    )


def _check_all(values: Floats, valid: ArrayLike, name: str, rule: str) -> None:
    wrong = ~np.asarray(valid)
    if np.any(wrong):
        raise ValueError(f"{name} == {float(values[wrong].flat[0])!r}, must be {rule}")
