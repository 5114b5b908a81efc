"""The bounded-difference betting e-process: evidence on paired differences, valid however often one looks.

For differences D in [-1, 1] with a conditional mean, a bet of size lambda on "the mean is below m" multiplies a capital
by 1 + lambda (m - D). Under the null hypothesis E[D | past] >= m the capital is a nonnegative supermartingale, so by
Ville's inequality it ever reaches 1/alpha with probability alpha at most, at any stopping time. The capital is averaged
over a fixed grid of 12 bets (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting";
the grid is this project's own choice: see the calibration study).

The order of the observations does not matter, so the state is a histogram: counts of distinct values. Merging shards in
any order gives the very same state, hence the very same e-value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.checks import check_count, check_null_mean

GRID: NDArray[np.float64] = np.geomspace(0.02, 0.95, 12)
"""Bets as shares of the largest admissible one, from cautious to bold. Fixed: to choose it by the data is invalid."""
Side = Literal["harm", "noninferiority"]


@dataclass(frozen=True, slots=True)
class DifferenceCounts:
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
    def of_counts(cls, counts: Mapping[float, int]) -> DifferenceCounts:
        """Take a mapping value -> count."""
        return cls(tuple(sorted(counts.items())))

    @classmethod
    def from_ltw(cls, losses: int, ties: int, wins: int) -> DifferenceCounts:
        """Take the counts of binary pairs: only control right, both or neither, only the treatment right."""
        for name, count in (("losses", losses), ("ties", ties), ("wins", wins)):
            check_count(count, name)
        return cls.of_counts({value: n for value, n in ((-1.0, losses), (0.0, ties), (1.0, wins)) if n})

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
        return float(np.dot(*self.arrays()) / self.n)

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (values, counts), each of shape (distinct values,)."""
        table = np.array(self.counts, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]


def log_e_betting(
    state: DifferenceCounts, null_mean: float, side: Side, lambdas: NDArray[np.float64] | None = None
) -> float:
    """Return the logarithm of the mixture e-value.

    Args:
        state: The differences.
        null_mean: m in (-1, 1).
        side: `harm` tests H0 E[D] >= m with factors 1 + lambda (m - D), admissible for lambda < 1 / (1 - m);
            `noninferiority` tests H0 E[D] <= m with factors 1 + lambda (D - m), lambda < 1 / (1 + m).
        lambdas: Bets, equally weighted; the fixed grid unless given.

    Raises:
        ValueError: `null_mean` is out of range, or a bet is not admissible.

    >>> state = DifferenceCounts.from_ltw(losses=40, ties=940, wins=20)
    >>> round(log_e_betting(state, 0.0, "harm", np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])), 6)
    2.160259
    """
    check_null_mean(null_mean)
    sign = 1.0 if side == "harm" else -1.0
    largest = 1 / (1 - sign * null_mean)
    bets = GRID * largest if lambdas is None else np.asarray(lambdas, dtype=np.float64)
    if np.any(bets <= 0) or np.any(bets >= largest):
        raise ValueError(f"lambdas == {bets.tolist()!r}, each must be in (0, {largest:.6g})")
    values, counts = state.arrays()
    # (bets, distinct values) -> one log-capital a bet; log1p keeps tiny bets exact.
    capitals = np.log1p(bets[:, None] * sign * (null_mean - values[None, :])) @ counts
    return float(logsumexp(capitals) - np.log(len(bets)))


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
    return float(min(1.0, np.exp(-peak_log_e)))
