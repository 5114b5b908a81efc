"""Bets on a bounded mean: the one kernel behind the betting e-processes and their confidence sequences.

A bet of share c on "the mean is below m", for values that cannot exceed h, multiplies a capital for each value x by
1 + c (m - x) / (h - m). The factor is at least 1 - c, so a capital never goes negative, and under E[x | past] >= m its
expectation is at most 1: the capital is a nonnegative supermartingale, and so is its average over fixed shares c
(Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting"). The grid of 12 shares is this
project's own choice: see the calibration study.

Sums run in one fixed order (`add.accumulate`), never through BLAS or pairwise summation: padding with zero counts, or
computing many states at once, leaves every bit of a state's result as it is. Between processors of different kinds the
last bit of a logarithm may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Side = Literal["harm", "noninferiority"]
Row = tuple[float, float, float, float]
"""(value, how often, lowest possible value, highest possible value)."""

GRID: Floats = np.geomspace(0.02, 0.95, 12)
"""Bets as shares of the largest admissible one, from cautious to bold. Fixed: to choose it by the data is invalid."""
_BLOCK = 1 << 20
"""Numbers computed at once: bounds the memory, whatever the number of distinct values."""


@dataclass(frozen=True, slots=True)
class BetTable:
    """Distinct values of many states side by side; every array is of shape (states, distinct values), padded."""

    values: Floats
    counts: Floats
    """How often each value came; 0 where padded."""
    lowest: Floats
    highest: Floats
    """What could have come at most, known before the value: it scales the bet."""

    @classmethod
    def of(cls, states: Sequence[Sequence[Row]]) -> BetTable:
        """Pad the rows of each state to one width."""
        lengths = np.array([len(rows) for rows in states], dtype=np.intp)
        flat = np.array([row for rows in states for row in rows], dtype=np.float64).reshape(-1, 4)
        state = np.repeat(np.arange(len(states)), lengths)
        place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        padded = np.empty((4, len(states), int(lengths.max(initial=0))))
        padded[...] = np.array([0.0, 0.0, -1.0, 1.0])[:, None, None]
        padded[:, state, place] = flat.T
        return cls(*padded)

    def mirrored(self) -> BetTable:
        """Return the table of -x: a bet on a high mean is a bet on a low mean of the mirror image, bit for bit."""
        return BetTable(-self.values, self.counts, -self.highest, -self.lowest)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> BetTable:
        """Return some of the states."""
        return BetTable(self.values[chosen], self.counts[chosen], self.lowest[chosen], self.highest[chosen])


def tables_of_similar_width(states: Sequence[Sequence[Row]]) -> Iterator[tuple[NDArray[np.intp], BetTable]]:
    """Yield (which states, their table) so that padding never grows a table more than about fourfold."""
    widths = np.array([(len(rows).bit_length() + 1) // 2 for rows in states], dtype=np.intp)
    for width in np.unique(widths):
        chosen = np.flatnonzero(widths == width)
        yield chosen, BetTable.of([states[i] for i in chosen.tolist()])


def log_capitals(table: BetTable, null_means: Floats, side: Side, shares: Floats = GRID) -> Floats:
    """Return the logarithm of each bet's capital.

    Args:
        table: The states.
        null_means: m of each state, shape (states,), inside its possible values.
        side: `harm` tests H0 E[x] >= m, `noninferiority` tests H0 E[x] <= m.
        shares: Bets as shares in (0, 1) of the largest admissible one, shape (bets,) or (bets, states).

    Returns:
        Shape (bets, states).
    """
    if check_side(side) == "noninferiority":
        table, null_means = table.mirrored(), -null_means
    return _capitals(table, null_means, shares, slopes=False)[0]


def log_capitals_and_slopes(table: BetTable, null_means: Floats) -> tuple[Floats, Floats]:
    """Return the `harm` capitals over the fixed grid, and their derivatives by m, each of shape (bets, states)."""
    return _capitals(table, null_means, GRID, slopes=True)


def _capitals(table: BetTable, null_means: Floats, shares: Floats, *, slopes: bool) -> tuple[Floats, Floats]:
    shares = shares.reshape(len(shares), -1, 1)
    states, width = table.values.shape
    logs, slope = np.zeros((2, len(shares), states))
    step = max(1, _BLOCK // max(1, len(shares) * states))
    for start in range(0, width, step):
        part = slice(start, start + step)
        counts, null = table.counts[:, part], null_means[:, None]
        room = table.highest[:, part] - null
        bets = shares * ((null - table.values[:, part]) / room)
        logs = _running_total(logs, counts * np.log1p(bets))
        if slopes:
            rates = counts * (table.highest[:, part] - table.values[:, part]) / room**2
            slope = _running_total(slope, shares * rates / (1 + bets))
    return logs, slope


def _running_total(before: Floats, terms: Floats) -> Floats:
    """Add terms of shape (..., n) one after the other."""
    terms[..., 0] += before
    return np.add.accumulate(terms, axis=-1)[..., -1]


def log_mean_exp(logs: ArrayLike) -> Floats:
    """Return log(mean(exp(logs))) over the first axis, in a fixed order and without overflow.

    This is the mixture of e-processes that are bet with equal weights.

    Args:
        logs: Shape (bets, ...), finite.

    >>> float(log_mean_exp([1000.0, 1000.0]))
    1000.0
    """
    array = np.asarray(logs, dtype=np.float64)
    peak = array.max(axis=0)
    total = np.zeros_like(peak)
    for layer in np.exp(array - peak):
        total = total + layer
    return np.asarray(peak + np.log(total / len(array)))


def check_side(side: str) -> Side:
    """Return a side.

    Raises:
        ValueError: It is neither `harm` nor `noninferiority`.
    """
    if side == "harm":
        return "harm"
    if side == "noninferiority":
        return "noninferiority"
    raise ValueError(f"side == {side!r}, must be 'harm' or 'noninferiority'")


def check_null_means(null_means: ArrayLike) -> Floats:
    """Return means of a difference, each in the open interval (-1, 1).

    Raises:
        ValueError: One is not.
    """
    array = np.asarray(null_means, dtype=np.float64)
    outside = ~((array > -1) & (array < 1))
    if np.any(outside):
        raise ValueError(f"null_mean == {float(array[outside].flat[0])!r}, must be in (-1, 1)")
    return array
