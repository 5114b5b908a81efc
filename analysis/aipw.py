"""The AIPW betting e-process: a difference of risks or scores between two arms under any ramp, valid at every look.

A unit that was assigned to the treatment (A = 1) with the logged probability p, and showed the outcome Y in [0, 1],
contributes xi = A (Y - c) / p - (1 - A) (Y - c) / (1 - p). Whatever the centre c, if it was known before the unit, xi
has the treatment's mean minus control's as its expectation: base rates and p may change as they like. A centre near the
mean outcome takes most of the variance away. Bets are shares of the largest admissible one, which depends on p and c:
`analysis.betting` has the kernel. Idea of Ham, Bojinov, Lindon & Tingley 2023 (design-based confidence sequences), with
bets in place of an asymptotic sequence.

The centre is the running mean of all earlier outcomes, rounded to 1/64. So few distinct (p, c, A, Y) occur, and the
state can be a histogram of them, from which the e-value at any null and the confidence sequence follow.

What may be merged: the histograms of shards add up exactly, in any order. The merged state is the one e-process whose
units were centred by their own shard's past. That is predictable, so it is valid as long as shards assign their units
independently; it differs from the e-process that one machine would have had, since its centres would have differed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.betting import (
    GRID,
    BetTable,
    Floats,
    Row,
    Side,
    check_null_means,
    log_capitals,
    log_mean_exp,
    tables_of_similar_width,
)
from analysis.confidence import VIOLATED, rejected_ends
from analysis.result import Estimate, NotEstimable

Key = tuple[float, float, int, float]
"""(propensity, centre, arm, outcome)."""
LEAST_PROPENSITY = 0.01
"""Assignment probabilities below this, or above 1 minus this, are refused: clip them where units are assigned. To clip
a logged one here would bias every estimate."""
CENTRES = 64
"""The centre is a multiple of 1/64: so the state stays small. At a rate of 98 % this adds 0.3 % of variance at most."""
_UNIT = 1 << 30
"""Outcomes are summed as multiples of 1/_UNIT: integers, whose sum does not depend on their order."""
_METHOD = "AIPW betting confidence sequence"
_ASSUMPTIONS = ("one independent unit per observation", "logged propensity", "constant difference of means")


@dataclass(frozen=True, slots=True)
class AipwCounts:
    """Units counted by (propensity of the treatment, centre, arm, outcome)."""

    counts: tuple[tuple[float, float, int, float, int], ...] = ()
    """(propensity in [0.01, 0.99], centre in [0, 1], arm: 1 is the treatment, outcome in [0, 1], units), sorted."""
    fixed_centre: float | None = None
    """A centre for all units, fixed before the data, in place of the running mean; 0 is plain inverse weighting."""

    def __post_init__(self) -> None:
        if self.fixed_centre is not None:
            _check_all(0 <= self.fixed_centre <= 1, self.fixed_centre, "fixed_centre", "in [0, 1]")
        propensity, centre, arm, outcome, units = np.array(self.counts, dtype=np.float64).reshape(-1, 5).T
        _check_unit(propensity, arm, outcome)
        _check_all((centre >= 0) & (centre <= 1), centre, "centre", "in [0, 1]")
        _check_all(units >= 0, units, "units", ">= 0")

    def add(self, propensity: float, arm: int, outcome: float) -> AipwCounts:
        """Add one unit, later than all others; to the bit what `extend` does.

        >>> AipwCounts().add(propensity=0.1, arm=1, outcome=1.0)
        AipwCounts(counts=((0.1, 0.5, 1, 1.0, 1),), fixed_centre=None)
        """
        _check_unit(propensity, arm, outcome)
        centre = self.fixed_centre
        if centre is None:
            centre = float(_rounded((self._outcomes() + _UNIT // 2) / ((self.n + 1.0) * _UNIT)))
        return self._with({(float(propensity), centre, int(arm), float(outcome) + 0.0): 1})

    def extend(
        self, propensity: ArrayLike, arm: ArrayLike, outcome: ArrayLike, centre: ArrayLike | None = None
    ) -> AipwCounts:
        """Add units in log time order, in one batch or in many: the state is the same to the bit.

        Args:
            propensity: Probability in [0.01, 0.99] with which each unit was assigned to the treatment, shape (units,).
            arm: 1 for the treatment, 0 for control.
            outcome: In [0, 1]; with many distinct values, round them first: the state keeps each.
            centre: In [0, 1], a prediction of each outcome from nothing but the past and the unit's own covariates;
                rounded to 1/64. The running mean (or the fixed centre) unless given.

        Raises:
            ValueError: An argument is out of range.
        """
        p, a, y = (np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (propensity, arm, outcome))
        p, a, y = np.broadcast_arrays(p, a, y)
        _check_unit(p, a, y)
        if centre is None:
            centres = self._centres(y)
        else:
            centres = np.broadcast_to(np.asarray(centre, dtype=np.float64), y.shape)
            _check_all((centres >= 0) & (centres <= 1), centres, "centre", "in [0, 1]")
            centres = _rounded(centres)
        return self._with(_counted(p, centres, a, y))

    def _centres(self, outcomes: Floats) -> Floats:
        """Return the centre of each new unit, from the units before it."""
        if self.fixed_centre is not None:
            return np.full(outcomes.shape, self.fixed_centre)
        units = np.rint(outcomes * _UNIT).astype(np.int64)
        total = self._outcomes() + np.cumsum(units) - units
        # One imagined unit with an outcome of 1/2 comes first.
        return _rounded((total + _UNIT // 2) / ((self.n + 1.0 + np.arange(len(outcomes))) * _UNIT))

    def _outcomes(self) -> int:
        """Return the sum of all outcomes, in multiples of 1/_UNIT."""
        return sum(round(outcome * _UNIT) * units for *_, outcome, units in self.counts)

    def _with(self, more: Mapping[Key, int]) -> AipwCounts:
        total = Counter(_by_key(self.counts)) + Counter(more)
        return AipwCounts(tuple(sorted((*key, units) for key, units in total.items())), self.fixed_centre)

    def merge(self, other: AipwCounts) -> AipwCounts:
        """Add the units of another shard: exact, and the same in any order. What it means: see the module's text.

        Raises:
            ValueError: The shards have different fixed centres.
        """
        if self.fixed_centre != other.fixed_centre:
            raise ValueError(f"fixed_centre == {other.fixed_centre!r}, must be {self.fixed_centre!r} as in this shard")
        return self._with(_by_key(other.counts))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AipwCounts:
        """Take what `to_dict` gave."""
        rows = ((float(p), float(c), int(a), float(y), int(n)) for p, c, a, y, n in data["counts"])
        return cls(tuple(sorted(rows)), data["fixed_centre"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit."""
        return {"counts": [list(row) for row in self.counts], "fixed_centre": self.fixed_centre}

    @property
    def n(self) -> int:
        """Number of units."""
        return sum(row[-1] for row in self.counts)

    def rows(self) -> list[Row]:
        """Return (xi, count, lowest, highest possible xi), as `analysis.betting` takes it."""
        return [
            (
                (y - c) / p if a else -(y - c) / (1 - p),
                units,
                -max(c / p, (1 - c) / (1 - p)),
                max((1 - c) / p, c / (1 - p)),
            )
            for p, c, a, y, units in self.counts
        ]

    @property
    def estimate(self) -> float:
        """Weighted mean of xi; a unit's weight is one over the range that was possible for its xi.

        Raises:
            ValueError: There is no unit.
        """
        if not self.counts:
            raise ValueError("n == 0, an estimate needs at least one unit")
        xi, units, lowest, highest = np.array(self.rows(), dtype=np.float64).T
        return float(np.average(xi, weights=units / (highest - lowest)))


def log_e_aipw(state: AipwCounts, null_difference: float, side: Side, shares: Floats = GRID) -> float:
    """Return the logarithm of the mixture e-value.

    Args:
        state: The units.
        null_difference: m in (-1, 1), the treatment's mean outcome minus control's.
        side: `harm` tests H0 "the difference is m or more", `noninferiority` tests H0 "it is m or less".
        shares: Bets as shares in (0, 1) of the largest admissible one, equally weighted; the fixed grid unless given.

    Raises:
        ValueError: An argument is out of range.

    >>> state = AipwCounts().extend(0.5, arm=[1, 0] * 100, outcome=[0, 1] * 100)
    >>> round(log_e_aipw(state, 0.0, "harm"), 2)
    131.08
    """
    bets = np.asarray(shares, dtype=np.float64)
    _check_all((bets > 0) & (bets < 1), bets, "shares", "in (0, 1)")
    nulls = check_null_means([null_difference])
    return float(log_mean_exp(log_capitals(BetTable.of([state.rows()]), nulls, side, bets))[0])


def log_e_aipw_many(states: Sequence[AipwCounts], null_differences: ArrayLike, side: Side) -> Floats:
    """Return the log e-values of many states at once, each to the bit what `log_e_aipw` gives.

    Args:
        states: The units of each metric and slice.
        null_differences: m of each, of shape () or (states,).
        side: As in `log_e_aipw`.

    Raises:
        ValueError: An argument is out of range.
    """
    nulls = np.broadcast_to(check_null_means(null_differences), (len(states),))
    found = np.zeros(len(states))
    for chosen, table in tables_of_similar_width([state.rows() for state in states]):
        found[chosen] = log_mean_exp(log_capitals(table, nulls[chosen], side))
    return found


def aipw_confidence_sequences(states: Iterable[AipwCounts], alpha: float) -> list[Estimate | NotEstimable]:
    """Return all differences in [-1, 1] that neither one-sided e-process (at alpha/2 each) rejects, for each state.

    The estimate is `AipwCounts.estimate`, or the nearer end where that, which knows no bounds, lies outside.

    Raises:
        ValueError: `alpha` is not in (0, 1).

    >>> state = AipwCounts().extend(0.5, arm=[1, 0] * 100, outcome=[0, 1, 1, 1] * 50)
    >>> found = aipw_confidence_sequences([state], 0.05)[0]
    >>> (round(found.value, 3), round(found.lower, 3), round(found.upper, 3))
    (-0.501, -0.661, -0.333)
    """
    counted = list(states)
    lower, upper = rejected_ends([state.rows() for state in counted], alpha)
    return [_estimate(*found, alpha) for found in zip(counted, lower.tolist(), upper.tolist(), strict=True)]


def _estimate(state: AipwCounts, lower: float, upper: float, alpha: float) -> Estimate | NotEstimable:
    if state.n == 0:
        return NotEstimable("no observation yet")
    if lower > upper:
        return NotEstimable(VIOLATED)
    value = min(max(state.estimate, lower), upper)
    return Estimate(value, lower, upper, 1 - alpha, state.n, _METHOD, _ASSUMPTIONS)


def _by_key(counts: Iterable[tuple[float, float, int, float, int]]) -> dict[Key, int]:
    return {(p, c, a, y): units for p, c, a, y, units in counts}


def _counted(p: Floats, c: Floats, a: Floats, y: Floats) -> dict[Key, int]:
    """Count units by their four properties, by way of one integer code a unit."""
    code = np.zeros(len(y), dtype=np.int64)
    levels = []
    for column in (p, c, a, y):
        values = np.unique(column)
        code = code * len(values) + np.searchsorted(values, column)
        levels.append(values)
    codes, units = np.unique(code, return_counts=True)
    places = np.unravel_index(codes, [len(values) for values in levels])
    keys = (values[place].tolist() for values, place in zip(levels, places, strict=True))
    return {(p, c, int(a), y): n for p, c, a, y, n in zip(*keys, units.tolist(), strict=True)}


def _rounded(centres: ArrayLike) -> Floats:
    return np.asarray(np.rint(np.asarray(centres) * CENTRES) / CENTRES)


def _check_unit(propensity: ArrayLike, arm: ArrayLike, outcome: ArrayLike) -> None:
    p, a, y = (np.asarray(x, dtype=np.float64) for x in (propensity, arm, outcome))
    rule = f"in [{LEAST_PROPENSITY}, {1 - LEAST_PROPENSITY}]"
    _check_all((p >= LEAST_PROPENSITY) & (p <= 1 - LEAST_PROPENSITY), p, "propensity", rule)
    _check_all((a == 0) | (a == 1), a, "arm", "0 (control) or 1 (treatment)")
    _check_all((y >= 0) & (y <= 1), y, "outcome", "in [0, 1]")


def _check_all(holds: NDArray[np.bool_] | bool, values: ArrayLike, name: str, rule: str) -> None:  # noqa: FBT001
    wrong = np.asarray(values)[~np.asarray(holds)]
    if wrong.size:
        raise ValueError(f"{name} == {wrong.flat[0].item()!r}, must be {rule}")
