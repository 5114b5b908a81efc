"""Paired differences without a normal distribution: Wilcoxon's signed-rank test and the Hodges-Lehmann estimate.

Both assume differences that are symmetric about their centre: only then do they tell about a location. The estimate is
the median of the Walsh averages (d_i + d_j) / 2, i <= j; the interval holds the centres that the test does not reject.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from analysis.checks import check_finite, check_share, check_values
from analysis.comparison import Alternative, check_alternative
from analysis.rendering import Rendered
from analysis.result import NotEstimable, TestResult

_ASSUMPTIONS = ("independent pairs", "symmetric differences", "one look")
_LARGEST_EXACT = 500
"""Pairs up to which the null distribution is enumerated: 0.1 s there, and the cube of that beyond."""
_LARGEST_WALSH = 2_000
"""Pairs up to which all Walsh averages, two million, are held at once."""


def wilcoxon_signed_rank(
    differences: ArrayLike, *, null: float = 0.0, alternative: Alternative = "two-sided"
) -> TestResult | NotEstimable:
    """Return Wilcoxon's signed-rank test; the statistic is V, the sum of the ranks of the positive differences.

    Differences equal to `null` are dropped, as Wilcoxon did. Ties get midranks, and p is exact given them, by
    enumeration over all signs. Beyond 500 pairs: normal with continuity correction. If nothing is left, p is 1.

    Args:
        differences: Treatment - control, shape (pairs,).
        null: The centre to test.
        alternative: "greater" looks for a centre above `null`.

    Raises:
        ValueError: A difference or `null` is not finite, or an unknown alternative.

    Source:
        Wilcoxon 1945, Biometrics Bulletin 1:80-83; Hollander, Wolfe & Chicken 2014, section 3.1.

    >>> found = wilcoxon_signed_rank([3, -1, 4, 1.5, -5, 9, 2.6])
    >>> (found.statistic, found.p_value, found.n)
    (21.0, 0.296875, 7)
    """
    check_alternative(alternative)
    shifted = check_values(differences, "differences") - check_finite(null, "null")
    if shifted.size == 0:
        return NotEstimable("no pair yet")
    shifted = shifted[shifted != 0]
    if shifted.size == 0:
        return TestResult(0.0, 1.0, 0, "Wilcoxon signed rank", (*_ASSUMPTIONS, "no pair differs"))
    ranks = rankdata(np.abs(shifted))
    v, total = float(ranks[shifted > 0].sum()), float(ranks.sum())
    exact = shifted.size <= _LARGEST_EXACT
    tail = _exact_tails if exact else _normal_tails
    below, above = tail(ranks, [v, total - v])  # V and total - V have one distribution
    p = {"less": below, "greater": above, "two-sided": min(1.0, 2 * min(below, above))}[alternative]
    method = f"Wilcoxon signed rank, {'exact' if exact else 'normal approximation'}"
    return TestResult(v, p, int(shifted.size), method, _ASSUMPTIONS)


def _exact_tails(ranks: NDArray[np.float64], values: list[float]) -> list[float]:
    """Return P(V <= value) for each value, over all 2^n signs."""
    doubled = np.rint(2 * ranks).astype(np.int64)  # midranks are halves
    unit = int(np.gcd.reduce(doubled))
    cumulative = np.cumsum(_sign_distribution(doubled // unit))
    return [min(1.0, float(cumulative[round(2 * value) // unit])) for value in values]


def _sign_distribution(weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distribution of the sum of those weights whose fair coin shows heads."""
    mass = np.zeros(int(weights.sum()) + 1)
    mass[0], reached = 1.0, 0
    for weight in weights.tolist():
        following = mass[: reached + weight + 1] / 2
        following[weight:] += mass[: reached + 1] / 2
        reached += weight
        mass[: reached + 1] = following
    return mass


def _normal_tails(ranks: NDArray[np.float64], values: list[float]) -> list[float]:
    centre, sd = float(ranks.sum()) / 2, math.sqrt(float((ranks**2).sum()) / 4)
    return [min(1.0, float(norm.cdf((value + 0.5 - centre) / sd))) for value in values]


@dataclass(frozen=True, slots=True)
class HodgesLehmann(Rendered):
    """The centre of symmetric differences, with an interval between two Walsh averages."""

    value: float
    lower: float
    """-inf where so few pairs allow no bound at this level."""
    upper: float
    level: float
    """The level that was asked for."""
    achieved_level: float
    """The level that the ranks give, at least that."""
    rank: int | None
    """The interval runs from this smallest to this largest Walsh average, counted from 1; None if unbounded."""
    walsh_averages: int
    """Their number, n (n + 1) / 2."""
    n: int
    method: str
    assumptions: tuple[str, ...] = ()


def hodges_lehmann(differences: ArrayLike, level: float = 0.95) -> HodgesLehmann | NotEstimable:
    """Return the Hodges-Lehmann estimate with the interval that Wilcoxon's test turns into.

    Up to 500 pairs the ranks come from the exact distribution, beyond from its normal approximation. Up to 2,000 pairs
    all Walsh averages are held, beyond they are found by bisection, to 1e-15 of the largest difference. With ties the
    closed interval covers with at least its level.

    Args:
        differences: Treatment - control, shape (pairs,).
        level: Confidence.

    Raises:
        ValueError: A difference is not finite, or `level` is out of range.

    Source:
        Hodges & Lehmann 1963; Hollander, Wolfe & Chicken 2014, section 3.3.

    >>> found = hodges_lehmann([3, -1, 4, 1.5, -5, 9, 2.6])
    >>> (found.value, found.lower, found.upper, found.rank, found.achieved_level)
    (2.15, -1.75, 6.0, 3, 0.953125)
    """
    check_share(level, "level")
    values = np.sort(check_values(differences, "differences"))
    n = values.size
    if n == 0:
        return NotEstimable("no pair yet")
    count = n * (n + 1) // 2
    rank, achieved = _interval_rank(n, level)
    middle = (count + 1) // 2, count // 2 + 1
    wanted = [*middle, rank, count + 1 - rank] if rank else [*middle]
    found = _walsh_order_statistics(values, wanted)
    return HodgesLehmann(
        value=(found[0] + found[1]) / 2,
        lower=found[2] if rank else -math.inf,
        upper=found[3] if rank else math.inf,
        level=level,
        achieved_level=achieved,
        rank=rank or None,
        walsh_averages=count,
        n=n,
        method=f"Hodges-Lehmann, {'exact' if n <= _LARGEST_EXACT else 'normal approximation'}",
        assumptions=_ASSUMPTIONS,
    )


def _interval_rank(n: int, level: float) -> tuple[int, float]:
    """Return the largest k with P(V <= k - 1) <= (1 - level) / 2, and the level that it gives; 0 if there is none."""
    if n <= _LARGEST_EXACT:
        cumulative = np.cumsum(_sign_distribution(np.arange(1, n + 1)))
        rank = int(np.searchsorted(cumulative, (1 - level) / 2, side="right"))
        return rank, 1 - 2 * float(cumulative[rank - 1]) if rank else 1.0
    centre, sd = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    rank = math.floor(centre + 0.5 + float(norm.ppf((1 - level) / 2)) * sd)
    if rank <= 0:
        return 0, 1.0
    return rank, 1 - 2 * float(norm.cdf((rank - 0.5 - centre) / sd))


def _walsh_order_statistics(values: NDArray[np.float64], ranks: list[int]) -> list[float]:
    """Return the Walsh averages of these ranks, counted from 1; the values are sorted."""
    n = values.size
    if n <= _LARGEST_WALSH:
        first, second = np.triu_indices(n)
        averages = values[first] / 2 + values[second] / 2
        places = [rank - 1 for rank in ranks]
        return [float(x) for x in np.partition(averages, sorted(set(places)))[places]]
    return [_bisected(values, rank) for rank in ranks]


def _bisected(values: NDArray[np.float64], rank: int) -> float:
    """Return the Walsh average of a rank without making them: how many are below a point takes n log n."""
    low, high = float(values[0]), float(values[-1])
    tolerance = 1e-15 * max(abs(low), abs(high))
    while high - low > tolerance:
        middle = low / 2 + high / 2
        if not low < middle < high:
            break
        # Each pair i < j is counted twice, each value with itself once.
        pairs = int(np.searchsorted(values, 2 * middle - values, side="right").sum())
        alone = int(np.searchsorted(values, middle, side="right"))
        if (pairs + alone) // 2 >= rank:
            high = middle
        else:
            low = middle
    return high
