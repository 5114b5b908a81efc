"""Group-sequential tests: a few planned looks with a maximal sample size that is declared in advance.

For promotion only, and only where the maximal size is known: such a plan stops earlier on average than the fixed test
(by a quarter at five looks) and, unlike an e-process, loses its guarantee as soon as it is looked at without spending.
Alpha is spent on the *information fraction* (units analysed / units planned), never on the number or the date of a look
(Lan & DeMets 1983), so looks may come whenever they come, as long as the results do not decide when. The harm side is
non-binding: rollback has its own e-process, and not obeying a harm signal costs no alpha here.

Probabilities come from the recursion of Armitage, McPherson & Rowe 1969: the score process is a Brownian motion with
drift, and the density of "not stopped yet" is carried from look to look by quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from analysis.checks import check_positive, check_share
from analysis.rendering import Rendered

Sides = Literal[1, 2]
Numbers = Sequence[float] | NDArray[np.float64]
Spending = Callable[[float, float], float]
"""(information fraction, alpha) -> alpha spent by then; 0 at 0, alpha from 1 on, never falling."""

_REACH = 9.0
"""Standard deviations beyond which the density is cut: a mass of 1e-19."""
_LEAST = 1e-15
"""A smaller part of alpha buys no boundary that can be reached."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_ASSUMPTIONS = (
    "independent increments of information",
    "approximately normal statistic",
    "the time of a look does not depend on the results",
)


@dataclass(frozen=True, slots=True)
class Boundaries(Rendered):
    """Critical values of a plan."""

    fractions: tuple[float, ...]
    """Information fraction of each look."""
    upper: tuple[float, ...]
    """Reject when z reaches it; inf where too little alpha is spent to ever stop."""
    spent: tuple[float, ...]
    """Cumulative alpha, of both sides together."""
    alpha: float
    sides: Sides
    method: str
    assumptions: tuple[str, ...] = _ASSUMPTIONS

    @property
    def lower(self) -> tuple[float, ...]:
        """Lower critical values; -inf for a one-sided plan."""
        return tuple(-z if self.sides == 2 else -math.inf for z in self.upper)

    def first_crossing(self, z_values: Numbers) -> int | None:
        """Return the index of the first look whose z reaches a boundary, or None.

        Raises:
            ValueError: There are more z values than looks.

        >>> lan_demets([0.5, 1.0], 0.025).first_crossing([1.9, 2.1])
        1
        """
        if len(z_values) > len(self.upper):
            raise ValueError(f"len(z_values) == {len(z_values)!r}, must be <= {len(self.upper)} looks")
        for look, (z, bound) in enumerate(zip(z_values, self.upper, strict=False)):
            if z >= bound or (self.sides == 2 and z <= -bound):
                return look
        return None


class Crossing(NamedTuple):
    """Probability of stopping at each look."""

    upper: tuple[float, ...]
    lower: tuple[float, ...]

    @property
    def total(self) -> float:
        """Probability of ever stopping at a boundary."""
        return math.fsum((*self.upper, *self.lower))


@dataclass(frozen=True, slots=True)
class OperatingCharacteristics(Rendered):
    """What a plan costs and saves, in units of the fixed test's sample size at the same alpha and power."""

    inflation: float
    """R: the maximal sample size."""
    average_null: float
    """Average sample number if there is no effect."""
    average_alternative: float
    """Average sample number under the effect for which the power is meant."""
    power: float
    drift: float
    """Mean of z at full information under that effect."""


def obrien_fleming_spending(fraction: float, alpha: float) -> float:
    """Return the O'Brien-Fleming type spending of one side, 2 - 2 Phi(z / sqrt(t)): hardly anything early.

    Source:
        Lan & DeMets 1983, Biometrika 70:659-663.

    >>> round(obrien_fleming_spending(0.5, 0.025), 8)
    0.00152532
    """
    return float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(min(fraction, 1.0))))


def pocock_spending(fraction: float, alpha: float) -> float:
    """Return the Pocock type spending, alpha log(1 + (e - 1) t): nearly even.

    Source:
        Lan & DeMets 1983, Biometrika 70:659-663.

    >>> pocock_spending(1.0, 0.025)
    0.025
    """
    return alpha * math.log1p((math.e - 1) * min(fraction, 1.0))


def power_spending(exponent: float) -> Spending:
    """Return the spending function alpha t^exponent: 1 is even, 3 is close to O'Brien-Fleming.

    Source:
        Kim & DeMets 1987, Biometrika 74:149-154.

    Raises:
        ValueError: `exponent` is not above 0.

    >>> power_spending(2)(0.5, 0.04)
    0.01
    """
    check_positive(exponent, "exponent")
    return lambda fraction, alpha: float(alpha * min(fraction, 1.0) ** exponent)


def lan_demets(
    fractions: Numbers, alpha: float, sides: Sides = 1, spending: Spending = obrien_fleming_spending
) -> Boundaries:
    """Return the boundaries that spend alpha by information fraction.

    A boundary depends on this and earlier looks only: at each look, call it with the fractions so far. Beyond a
    fraction of 1 (more data than planned) nothing more is spent.

    Args:
        fractions: Information fraction of each look, rising, shape (looks,).
        alpha: Chance of a false rejection, of both sides together.
        sides: 1 for non-inferiority and superiority; 2 spends alpha / 2 on either side.
        spending: Spending function of one side.

    Raises:
        ValueError: `alpha` is not in (0, 1), `sides` is not 1 or 2, the fractions do not rise, or the function spends
            more than alpha.

    >>> [round(z, 3) for z in lan_demets([0.25, 0.5, 0.75, 1.0], 0.025).upper]
    [4.333, 2.963, 2.359, 2.014]
    """
    times = _check_fractions(fractions)
    _check_plan(alpha, sides)
    process = _Process(times, drift=0.0)
    upper: list[float] = []
    spent: list[float] = []
    used = 0.0
    for time in times:
        target = spending(time, alpha / sides)
        if not 0 <= target <= alpha / sides * (1 + 1e-9):
            raise ValueError(f"spending({time!r}) == {target!r}, must be in [0, {alpha / sides!r}]")
        bound = process.bound(max(0.0, target - used))
        up, _ = process.step(bound, -bound if sides == 2 else -math.inf)
        used += up
        upper.append(bound)
        spent.append(used * sides)
    return Boundaries(times, tuple(upper), tuple(spent), alpha, sides, "Lan-DeMets alpha spending")


def pocock_constant(looks: int, alpha: float, sides: Sides = 2) -> float:
    """Return the one critical value of all of `looks` equally spaced looks.

    Source:
        Pocock 1977, Biometrika 64:191-199; Jennison & Turnbull 2000, table 2.1.

    Raises:
        ValueError: `looks` is below 1, `alpha` is not in (0, 1), or `sides` is not 1 or 2.

    >>> round(pocock_constant(5, 0.05), 3)
    2.413
    """
    return _constant(looks, alpha, sides, [1.0] * looks)


def obrien_fleming_constant(looks: int, alpha: float, sides: Sides = 2) -> float:
    """Return c, for which the critical value of look k of K is c sqrt(K / k).

    Source:
        O'Brien & Fleming 1979, Biometrics 35:549-556; Jennison & Turnbull 2000, table 2.3.

    Raises:
        ValueError: `looks` is below 1, `alpha` is not in (0, 1), or `sides` is not 1 or 2.

    >>> round(obrien_fleming_constant(5, 0.05), 3)
    2.04
    """
    return _constant(looks, alpha, sides, [math.sqrt(looks / k) for k in range(1, looks + 1)])


def pocock(looks: int, alpha: float, sides: Sides = 2) -> Boundaries:
    """Return Pocock's plan: the same critical value at each of equally spaced looks.

    >>> [round(z, 3) for z in pocock(2, 0.05).upper]
    [2.178, 2.178]
    """
    return _classical([pocock_constant(looks, alpha, sides)] * looks, alpha, sides, "Pocock")


def obrien_fleming(looks: int, alpha: float, sides: Sides = 2) -> Boundaries:
    """Return O'Brien and Fleming's plan of equally spaced looks: strict early, nearly the fixed test at the end.

    >>> [round(z, 3) for z in obrien_fleming(3, 0.05).upper]
    [3.471, 2.454, 2.004]
    """
    c = obrien_fleming_constant(looks, alpha, sides)
    return _classical([c * math.sqrt(looks / k) for k in range(1, looks + 1)], alpha, sides, "O'Brien-Fleming")


def crossing_probabilities(
    fractions: Numbers, upper: Numbers, lower: Numbers | None = None, drift: float = 0.0
) -> Crossing:
    """Return the probability of stopping at each look.

    Args:
        fractions: Information fraction of each look, rising, shape (looks,).
        upper: Upper critical values of z, shape (looks,).
        lower: Lower critical values of z, shape (looks,); none for a one-sided plan.
        drift: Mean of z at an information fraction of 1; 0 under the null hypothesis.

    Raises:
        ValueError: The fractions do not rise, or the lengths differ.

    >>> round(crossing_probabilities([0.5, 1.0], [1.96, 1.96], [-1.96, -1.96]).total, 3)
    0.083
    """
    times = _check_fractions(fractions)
    floor = [-math.inf] * len(times) if lower is None else list(lower)
    if not len(upper) == len(floor) == len(times):
        raise ValueError(f"len(upper) == {len(upper)!r}, must be one per look, of which there are {len(times)}")
    process = _Process(times, drift)
    stops = [process.step(up, down) for up, down in zip(upper, floor, strict=True)]
    return Crossing(tuple(up for up, _ in stops), tuple(down for _, down in stops))


def operating_characteristics(plan: Boundaries, power: float = 0.9) -> OperatingCharacteristics:
    """Return the inflation factor and the average sample numbers of a plan that ends at full information.

    Args:
        plan: Boundaries whose last fraction is 1.
        power: Wanted chance of a rejection under the alternative.

    Raises:
        ValueError: `power` is not in (alpha, 1), or the plan does not end at a fraction of 1.

    Source:
        Jennison & Turnbull 2000, section 2.

    >>> found = operating_characteristics(pocock(5, 0.05))
    >>> (round(found.inflation, 3), round(found.average_alternative, 3))
    (1.206, 0.685)
    """
    check_share(power, "power")
    if power <= plan.alpha:
        raise ValueError(f"power == {power!r}, must be > alpha == {plan.alpha!r}")
    if abs(plan.fractions[-1] - 1) > 1e-9:
        raise ValueError(f"fractions[-1] == {plan.fractions[-1]!r}, must be 1")

    def crossing(drift: float) -> Crossing:
        return crossing_probabilities(plan.fractions, plan.upper, plan.lower if plan.sides == 2 else None, drift)

    fixed = float(norm.isf(plan.alpha / plan.sides) + norm.ppf(power))
    drift = float(brentq(lambda theta: crossing(theta).total - power, 1e-6, 4 * abs(fixed) + 10, xtol=1e-10))
    inflation = (drift / fixed) ** 2
    return OperatingCharacteristics(
        inflation,
        inflation * _mean_fraction(plan.fractions, crossing(0.0)),
        inflation * _mean_fraction(plan.fractions, crossing(drift)),
        power,
        drift,
    )


def naive_peeking_error(looks: int, alpha: float = 0.05, sides: Sides = 2) -> float:
    """Return how often a fixed-sample test errs that is repeated at each of equally spaced looks.

    Source:
        Armitage, McPherson & Rowe 1969, JRSS A 132:235-244.

    Raises:
        ValueError: `looks` is below 1, `alpha` is not in (0, 1), or `sides` is not 1 or 2.

    >>> [round(100 * naive_peeking_error(k), 1) for k in (2, 5, 10)]
    [8.3, 14.2, 19.3]
    """
    _check_plan(alpha, sides)
    return _total([float(norm.isf(alpha / sides))] * looks, sides)


# --- the recursion ----------------------------------------------------------------------------------------------------


class _Process:
    """The density of a Brownian motion that no boundary has stopped yet, on a grid that follows it.

    Works on the score scale s = z sqrt(t), on which increments are independent: s has drift * dt and variance dt.
    """

    def __init__(self, times: Sequence[float], drift: float) -> None:
        self._times: Iterator[float] = iter(times)
        self._gaps = np.diff([0.0, *times])
        self._drift = drift
        self._look = 0
        self._time = 0.0
        # All mass is at 0 before the first look.
        self._nodes: NDArray[np.float64] = np.zeros(1)
        self._mass: NDArray[np.float64] = np.ones(1)

    def _above(self, score: float) -> float:
        """Return the probability of reaching the next look, and of being above `score` there."""
        gap = self._gaps[self._look]
        return float(ndtr((self._nodes + self._drift * gap - score) / math.sqrt(gap)) @ self._mass)

    def bound(self, probability: float) -> float:
        """Return z of the next look that is exceeded with this probability; inf if that is next to nothing."""
        if probability < _LEAST:
            return math.inf
        root = math.sqrt(self._time + self._gaps[self._look])
        if self._above(-_REACH * root) <= probability:
            return -_REACH
        return float(brentq(lambda z: self._above(z * root) - probability, -_REACH, _REACH, xtol=1e-12))

    def step(self, upper: float, lower: float) -> tuple[float, float]:
        """Go to the next look; return the probabilities of stopping there above and below."""
        gap = float(self._gaps[self._look])
        time = next(self._times)
        root = math.sqrt(time)
        high, low = upper * root, lower * root
        above = self._above(high) if upper < math.inf else 0.0
        survived = float(self._mass.sum())
        below = max(0.0, survived - self._above(low)) if lower > -math.inf else 0.0
        self._advance(gap, time, low, high)
        return above, below

    def _advance(self, gap: float, time: float, low: float, high: float) -> None:
        centre, reach, step = self._drift * time, _REACH * math.sqrt(time), math.sqrt(gap)
        next_step = math.sqrt(self._gaps[self._look + 1]) if self._look + 1 < len(self._gaps) else step
        nodes, weights = _quadrature(max(low, centre - reach), min(high, centre + reach), min(step, next_step))
        z = (nodes[:, None] - self._nodes[None, :] - self._drift * gap) / step
        density = np.exp(-0.5 * z * z) @ self._mass / (step * math.sqrt(2 * math.pi))
        self._nodes, self._mass = nodes, weights * density
        self._look += 1
        self._time = time


def _quadrature(low: float, high: float, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights on [low, high]: 8-point Gauss-Legendre panels of 2.5 standard deviations at most."""
    if high <= low:
        return np.zeros(0), np.zeros(0)
    panels = max(1, math.ceil((high - low) / (2.5 * scale)))
    edges = np.linspace(low, high, panels + 1)
    half = (edges[1:] - edges[:-1]) / 2
    middle = (edges[1:] + edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * _NODES).ravel(), (half[:, None] * _WEIGHTS).ravel()


# --- shared -----------------------------------------------------------------------------------------------------------


def _check_fractions(fractions: Numbers) -> tuple[float, ...]:
    times = tuple(float(time) for time in fractions)
    if not times or not all(math.isfinite(time) for time in times):
        raise ValueError(f"fractions == {fractions!r}, must be at least one finite number")
    if any(b <= a for a, b in zip((0.0, *times), times, strict=False)):
        raise ValueError(f"fractions == {fractions!r}, must be above 0 and rise")
    return times


def _check_plan(alpha: float, sides: int) -> None:
    check_share(alpha, "alpha")
    if sides not in {1, 2}:
        raise ValueError(f"sides == {sides!r}, must be 1 or 2")


def _total(upper: Sequence[float], sides: Sides) -> float:
    looks = len(upper)
    if looks < 1:
        raise ValueError(f"looks == {looks!r}, must be >= 1")
    fractions = [k / looks for k in range(1, looks + 1)]
    return crossing_probabilities(fractions, upper, [-z for z in upper] if sides == 2 else None).total


def _constant(looks: int, alpha: float, sides: Sides, shape: Sequence[float]) -> float:
    _check_plan(alpha, sides)
    # The constant lies between the fixed test's critical value and Bonferroni's.
    fixed = float(norm.isf(alpha / sides))
    if looks == 1:
        return fixed
    return float(brentq(lambda c: _total([c * s for s in shape], sides) - alpha, min(0.0, fixed), 9.0, xtol=1e-10))


def _classical(upper: Sequence[float], alpha: float, sides: Sides, method: str) -> Boundaries:
    fractions = tuple(k / len(upper) for k in range(1, len(upper) + 1))
    stops = crossing_probabilities(fractions, upper, [-z for z in upper] if sides == 2 else None)
    spent = np.cumsum(np.add(stops.upper, stops.lower))
    return Boundaries(fractions, tuple(upper), tuple(spent.tolist()), alpha, sides, method)


def _mean_fraction(fractions: Sequence[float], stops: Crossing) -> float:
    probabilities = np.add(stops.upper, stops.lower)
    return float(np.dot(fractions, probabilities) + fractions[-1] * (1 - probabilities.sum()))
