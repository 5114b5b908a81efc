"""The BCa bootstrap of a mean difference: resampling pairs, or the clusters that they come in. Seeded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.checks import check_count, check_share, check_values
from analysis.result import Estimate, NotEstimable

_FEWEST_UNITS = 10
_FEWEST_RESAMPLES = 1_000
_AT_ONCE = 1 << 20
"""Numbers drawn at once: bounds the memory."""
_ROUNDING = 1e-14


def bootstrap_mean(
    differences: ArrayLike,
    seed: int,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = 2_000,
) -> Estimate | NotEstimable:
    """Return the mean difference per pair with its bias-corrected and accelerated (BCa) bootstrap interval.

    With one pair per cluster the result is, number by number, that without clusters.

    Args:
        differences: Treatment - control, shape (pairs,).
        seed: Of the random numbers: the same seed gives the same interval.
        clusters: Label of the user or conversation of each pair, shape (pairs,); whole clusters are resampled then.
        level: Confidence.
        resamples: At least 1,000.

    Raises:
        ValueError: A difference is not finite, the lengths differ, `level` is out of range, or too few resamples.

    Source:
        Efron 1987, "Better bootstrap confidence intervals"; clusters: Davison & Hinkley 1997, section 3.8.

    >>> found = bootstrap_mean([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 30], seed=1)
    >>> (found.value, round(found.lower, 2), round(found.upper, 2))
    (8.0, 5.17, 14.83)
    """
    check_share(level, "level")
    check_count(seed, "seed")
    if resamples < _FEWEST_RESAMPLES:
        raise ValueError(f"resamples == {resamples!r}, must be >= {_FEWEST_RESAMPLES}")
    sums, sizes = _by_cluster(check_values(differences, "differences"), clusters)
    unit = "pairs" if clusters is None else "clusters"
    if sums.size < _FEWEST_UNITS:
        return NotEstimable(f"{sums.size} {unit}, the bootstrap needs at least {_FEWEST_UNITS}")
    estimate = float(sums.sum() / sizes.sum())
    influence = _influence(sums, sizes)
    if np.abs(influence).max() <= _ROUNDING * np.abs(sums).max() / sizes.sum():
        return NotEstimable(f"the {unit} do not vary: there is nothing to resample")
    drawn = _resampled_means(sums, sizes, np.random.default_rng(seed), resamples)
    shares = _bca_shares(drawn, estimate, influence, level)
    if shares is None:
        return NotEstimable("the bootstrap distribution is too far off centre for a BCa interval")
    lower, upper = (float(end) for end in np.quantile(drawn, shares))
    method = f"BCa bootstrap of {unit}, {resamples} resamples, seed {seed}"
    assumptions = (f"independent {unit}", "mean per pair", "one look")
    return Estimate(estimate, lower, upper, level, int(sums.size), method, assumptions)


def _by_cluster(
    differences: NDArray[np.float64], clusters: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of the differences, and their number, of each cluster in order of first appearance."""
    if clusters is None:
        return differences, np.ones(differences.size)
    labels = np.asarray(clusters)
    if labels.shape != differences.shape:
        raise ValueError(f"clusters.shape == {labels.shape!r}, must be {differences.shape!r}")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[inverse]
    return np.bincount(place, differences).astype(np.float64), np.bincount(place).astype(np.float64)


def _influence(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the mean lies above its jackknife values, centred."""
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    return np.asarray(left_out.mean() - left_out)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    n, rows = sums.size, max(1, _AT_ONCE // sums.size)
    means = []
    for start in range(0, resamples, rows):
        chosen = generator.integers(0, n, (min(rows, resamples - start), n))
        means.append(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))
    return np.concatenate(means)


def _bca_shares(
    drawn: NDArray[np.float64], estimate: float, influence: NDArray[np.float64], level: float
) -> tuple[float, float] | None:
    """Return which quantiles of the drawn means are the ends, or None where the correction is out of bounds."""
    share_below = (float((drawn < estimate).mean()) + float((drawn <= estimate).mean())) / 2
    reach = float(norm.isf((1 - level) / 2))
    bias = float(norm.ppf(share_below))
    if abs(bias) >= reach:  # also infinite: the interval would not contain the estimate
        return None
    acceleration = float((influence**3).sum()) / (6 * float((influence**2).sum()) ** 1.5)

    def share(z: float) -> float:
        moved = bias + z
        return float(norm.cdf(bias + moved / (1 - acceleration * moved)))

    if max(acceleration * (bias - reach), acceleration * (bias + reach)) >= 1 or not math.isfinite(acceleration):
        return None
    return share(-reach), share(reach)
