"""The bounded-difference betting e-process: evidence on paired differences, valid however often one looks.

For differences D in [-1, 1] with a conditional mean, a bet of size lambda on "the mean is below m" multiplies a capital
by 1 + lambda (m - D). Under the null hypothesis E[D | past] >= m the capital is a nonnegative supermartingale, so by
Ville's inequality it ever reaches 1/alpha with probability alpha at most, at any stopping time. The capital is averaged
over a fixed grid of 12 bets: `analysis.betting` has the kernel and the source.

The order of the observations does not matter, so the state is a histogram: counts of distinct values. Merging shards in
any order gives the very same state, hence the very same e-value, bit for bit. One state or many at once, or the plain
counts of losses, ties and wins: all go through the same operations in the same order and agree to the last bit too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.betting import (
    GRID,
    BetTable,
    Floats,
    Row,
    Side,
    check_null_means,
    check_side,
    log_capitals,
    log_mean_exp,
    tables_of_similar_width,
)
from analysis.checks import check_count, check_null_mean
from analysis.rendering import Rendered

_CHUNK = 1 << 14
"""States of losses, ties and wins that are computed at once: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class DifferenceCounts(Rendered):
    """Histogram of differences treatment - control, each in [-1, 1], one per independent unit."""

    counts: tuple[tuple[float, int], ...] = ()
    """(value, how often), sorted by value."""

    def __post_init__(self) -> None:
        for value, count in self.counts:
            if not -1 <= value <= 1:
                raise ValueError(f"difference == {value!r}, must be in [-1, 1]")
            check_count(count, "count")

    @classmethod
    def of(cls, differences: Iterable[float]) -> DifferenceCounts:
        """Count differences.

        >>> DifferenceCounts.of([0.0, -1.0, 0.0])
        DifferenceCounts(counts=((-1.0, 1), (0.0, 2)))
        """
        return cls.of_counts(Counter(map(float, differences)))

    @classmethod
    def of_array(cls, differences: ArrayLike) -> DifferenceCounts:
        """Count differences of any shape, fast: three passes for losses, ties and wins, a sort for scores.

        Raises:
            ValueError: A difference is outside of [-1, 1] or not a number.

        >>> DifferenceCounts.of_array([[0, -1], [0, 1]])
        DifferenceCounts(counts=((-1.0, 1), (0.0, 2), (1.0, 1)))
        """
        array = np.asarray(differences).ravel()
        losses, ties, wins = (int(np.count_nonzero(array == value)) for value in (-1, 0, 1))
        if losses + ties + wins == array.size:
            return cls.from_ltw(losses, ties, wins)
        values, counts = np.unique(array.astype(np.float64), return_counts=True)
        return cls.of_counts(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    @classmethod
    def of_counts(cls, counts: Mapping[float, int]) -> DifferenceCounts:
        """Take a mapping value -> count."""
        # -0.0 + 0.0 is 0.0: one zero, whichever shard saw it first. Values that never came are left out.
        return cls(tuple(sorted((float(value) + 0.0, int(count)) for value, count in counts.items() if count)))

    @classmethod
    def from_ltw(cls, losses: int, ties: int, wins: int) -> DifferenceCounts:
        """Take the counts of binary pairs: only control right, both or neither, only the treatment right."""
        for name, count in (("losses", losses), ("ties", ties), ("wins", wins)):
            check_count(count, name)
        return cls.of_counts({-1.0: losses, 0.0: ties, 1.0: wins})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DifferenceCounts:
        """Take what `to_dict` gave."""
        return cls.of_counts(dict(data["counts"]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, which keeps every bit.

        >>> DifferenceCounts.from_ltw(1, 2, 0).to_dict()
        {'counts': [[-1.0, 1], [0.0, 2]]}
        """
        return {"counts": [list(pair) for pair in self.counts]}

    def merge(self, other: DifferenceCounts) -> DifferenceCounts:
        """Add the counts of another shard: exact, and the same in any order."""
        return self.of_counts(Counter(dict(self.counts)) + Counter(dict(other.counts)))

    @property
    def n(self) -> int:
        """Number of observations."""
        return sum(count for _, count in self.counts)

    @property
    def mean(self) -> float:
        """Mean difference; 0 observations have none.

        Raises:
            ValueError: There is no observation.
        """
        if self.n == 0:
            raise ValueError("n == 0, a mean needs at least one observation")
        return math.fsum(value * count for value, count in self.counts) / self.n

    def arrays(self) -> tuple[Floats, Floats]:
        """Return (values, counts), each of shape (distinct values,)."""
        table = np.array(self.counts, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def rows(self) -> list[Row]:
        """Return (value, count, lowest, highest possible value), as `analysis.betting` takes it."""
        return [(value, count, -1.0, 1.0) for value, count in self.counts]


def log_e_betting(state: DifferenceCounts, null_mean: float, side: Side, lambdas: Floats | None = None) -> float:
    """Return the logarithm of the mixture e-value.

    Args:
        state: The differences.
        null_mean: m in (-1, 1).
        side: `harm` tests H0 E[D] >= m with factors 1 + lambda (m - D), admissible for lambda < 1 / (1 - m);
            `noninferiority` tests H0 E[D] <= m with factors 1 + lambda (D - m), lambda < 1 / (1 + m).
        lambdas: Bets, equally weighted; the fixed grid unless given.

    Raises:
        ValueError: `null_mean` or `side` is out of range, or a bet is not admissible.

    >>> state = DifferenceCounts.from_ltw(losses=40, ties=940, wins=20)
    >>> round(log_e_betting(state, 0.0, "harm", np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])), 6)
    2.160259
    """
    check_null_mean(null_mean)
    room = 1 - null_mean if check_side(side) == "harm" else 1 + null_mean
    bets = GRID / room if lambdas is None else np.asarray(lambdas, dtype=np.float64)
    if np.any(bets <= 0) or np.any(bets >= 1 / room):
        raise ValueError(f"lambdas == {bets.tolist()!r}, each must be in (0, {1 / room:.6g})")
    shares = GRID if lambdas is None else bets * room
    capitals = log_capitals(BetTable.of([state.rows()]), np.array([null_mean], dtype=np.float64), side, shares)
    return float(log_mean_exp(capitals)[0])


def log_e_many(states: Sequence[DifferenceCounts], null_means: ArrayLike, side: Side) -> Floats:
    """Return the log e-values of many states at once, each to the bit what `log_e_betting` gives.

    Args:
        states: The differences of each metric and slice.
        null_means: m of each, of a shape that broadcasts to (..., states): several nulls a state are one call.
        side: As in `log_e_betting`.

    Returns:
        Shape (..., states).

    Raises:
        ValueError: A null mean or `side` is out of range.

    >>> states = [DifferenceCounts.from_ltw(40, 940, 20), DifferenceCounts()]
    >>> log_e_many(states, [[0.0], [-0.01]], "harm").round(3).tolist()
    [[2.1, 0.0], [0.239, 0.0]]
    """
    check_side(side)
    nulls = check_null_means(null_means)
    nulls = np.broadcast_to(nulls, np.broadcast_shapes(nulls.shape, (len(states),)))
    found = np.zeros(nulls.shape)
    for chosen, table in tables_of_similar_width([state.rows() for state in states]):
        for index in np.ndindex(nulls.shape[:-1]):
            found[(*index, chosen)] = log_mean_exp(log_capitals(table, nulls[(*index, chosen)], side))
    return found


def log_e_ltw(losses: ArrayLike, ties: ArrayLike, wins: ArrayLike, null_mean: ArrayLike, side: Side) -> Floats:
    """Return the log e-values of binary pairs, over arrays of looks, replicates, metrics or nulls.

    Args:
        losses: Pairs that only control got right; any shape.
        ties: Pairs that both or neither got right.
        wins: Pairs that only the treatment got right.
        null_mean: m in (-1, 1).
        side: As in `log_e_betting`, which this agrees with to the bit.

    Returns:
        The shape that the four arguments broadcast to.

    Raises:
        ValueError: A count is negative, or a null mean or `side` is out of range.

    >>> log_e_ltw([0, 40, 80], [0, 940, 1880], [0, 20, 40], 0.0, "harm").round(3).tolist()
    [0.0, 2.1, 5.019]
    """
    mirrored = check_side(side) == "noninferiority"
    null = check_null_means(null_mean)
    given = [_checked_counts(x, name) for x, name in ((losses, "losses"), (ties, "ties"), (wins, "wins"))]
    shape = np.broadcast_shapes(null.shape, *(x.shape for x in given))
    factors = _ltw_factors(-null if mirrored else null, mirrored=mirrored).reshape(3, len(GRID), -1)
    flat = [np.broadcast_to(x, shape).reshape(-1) for x in given]
    if factors.shape[-1] > 1:
        index = np.broadcast_to(np.arange(null.size).reshape(null.shape), shape).reshape(-1)
    found = np.empty(flat[0].shape)
    for start in range(0, len(found), _CHUNK):
        part = slice(start, start + _CHUNK)
        bets = factors[:, :, index[part]] if factors.shape[-1] > 1 else factors
        # From losses to wins, the order in which the histogram is summed up.
        capitals = flat[0][part] * bets[0] + flat[1][part] * bets[1] + flat[2][part] * bets[2]
        found[part] = log_mean_exp(capitals)
    return found.reshape(shape)


def _ltw_factors(null: Floats, *, mirrored: bool) -> Floats:
    """Return log factors of shape (loss tie win, bets, *null.shape)."""
    differences = np.array([1.0, 0.0, -1.0] if mirrored else [-1.0, 0.0, 1.0])
    differences = differences.reshape(3, 1, *[1] * null.ndim)
    return np.asarray(np.log1p(GRID.reshape(-1, *[1] * null.ndim) * ((null - differences) / (1.0 - null))))


def _checked_counts(counts: ArrayLike, name: str) -> Floats:
    array = np.asarray(counts, dtype=np.float64)
    negative = ~(array >= 0)
    if np.any(negative):
        raise ValueError(f"{name} == {float(array[negative].flat[0])!r}, must be >= 0")
    return array


def log_e_harm(state: DifferenceCounts, null_mean: float) -> float:
    """Return log evidence against "the mean difference is `null_mean` or more": large when there is harm.

    >>> round(log_e_harm(DifferenceCounts.from_ltw(40, 940, 20), 0.0), 3)
    2.1
    """
    return log_e_betting(state, null_mean, "harm")


def log_e_noninferior(state: DifferenceCounts, null_mean: float) -> float:
    """Return log evidence against "the mean difference is `null_mean` or less": large when a loss is ruled out."""
    return log_e_betting(state, null_mean, "noninferiority")


def running_p(peak_log_e: float) -> float:
    """Return the anytime-valid p-value of the highest log e-value so far: min(1, 1 / max E).

    >>> running_p(0.0), round(running_p(3.0), 4)
    (1.0, 0.0498)
    """
    return math.exp(-max(0.0, peak_log_e))


def running_p_values(log_e: ArrayLike) -> Floats:
    """Return the anytime-valid p-value at each look, which never rises, from the log e-values in order of the looks.

    Args:
        log_e: Shape (..., looks).

    >>> running_p_values([0.0, 3.0, 1.0, 4.0]).round(4).tolist()
    [1.0, 0.0498, 0.0498, 0.0183]
    """
    peaks = np.maximum.accumulate(np.maximum(np.asarray(log_e, dtype=np.float64), 0.0), axis=-1)
    return np.asarray(np.exp(-peaks))
