"""Paired binary outcomes at a fixed sample size, for reports: McNemar and Tango.

Wins are pairs in which only the treatment did well, losses those in which only control did.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import binom, norm

from analysis.checks import check_count, check_null_mean, check_share, check_values
from analysis.comparison import Alternative, check_alternative
from analysis.result import Estimate, NotEstimable, TestResult

_ASSUMPTIONS = ("independent pairs", "one look")


class McNemar(NamedTuple):
    """The family of McNemar tests of "wins and losses are equally likely", two-sided."""

    z: float
    p_asymptotic: float
    p_continuity: float
    p_exact: float
    p_mid: float
    """The default for display: the exact test is conservative."""


def mcnemar(wins: int, losses: int) -> McNemar:
    """Return McNemar's tests. Without a discordant pair nothing speaks against equality: z is 0 and every p is 1.

    Args:
        wins: Pairs in which only the treatment did well.
        losses: Pairs in which only control did.

    Raises:
        ValueError: A negative count.

    Source:
        McNemar 1947; mid-p: Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13:91.

    >>> round(mcnemar(6, 16).p_mid, 5)
    0.03469
    """
    check_count(wins, "wins")
    check_count(losses, "losses")
    n = wins + losses
    if n == 0:
        return McNemar(0.0, 1.0, 1.0, 1.0, 1.0)
    z = (wins - losses) / math.sqrt(n)
    corrected = max(0.0, abs(wins - losses) - 1) / math.sqrt(n)
    fewer = min(wins, losses)
    exact = min(1.0, 2 * float(binom.cdf(fewer, n, 0.5)))
    mid = 2 * float(binom.cdf(fewer, n, 0.5)) - float(binom.pmf(fewer, n, 0.5))
    return McNemar(z, _two_sided(z), _two_sided(corrected), exact, min(1.0, mid))


def _two_sided(z: float) -> float:
    return float(2 * norm.sf(abs(z)))


def tango_z(wins: int, losses: int, n: int, null_difference: float) -> float:
    """Return Tango's score statistic of "the difference (wins - losses) / n is `null_difference`".

    It falls as the null difference rises. At 0 it is McNemar's z.

    Args:
        wins: Pairs in which only the treatment did well.
        losses: Pairs in which only control did.
        n: All pairs, at least 1.
        null_difference: In (-1, 1).

    Raises:
        ValueError: Bad counts, or `null_difference` out of range.

    Source:
        Tango 1998, Statistics in Medicine 17:891-908; q is the restricted maximum-likelihood estimate.

    >>> round(tango_z(0, 0, 150, -0.02), 3)
    1.75
    """
    _check_pairs(wins, losses, n)
    d = check_null_mean(null_difference, "null_difference")
    a, b, c = 2 * n, -wins - losses + (2 * n - wins + losses) * d, -losses * d * (1 - d)
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    # The same root in the form that does not subtract two equal numbers.
    q = (root - b) / (2 * a) if b <= 0 else -2 * c / (root + b)
    variance = n * (2 * q + d * (1 - d))
    numerator = wins - losses - n * d
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def tango_interval(wins: int, losses: int, n: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Tango's score interval of the paired difference (wins - losses) / n.

    Args:
        wins: Pairs in which only the treatment did well.
        losses: Pairs in which only control did.
        n: All pairs.
        level: Confidence.

    Raises:
        ValueError: Negative counts, or more discordant pairs than pairs.

    Source:
        Tango 1998, Statistics in Medicine 17:891-908.

    >>> found = tango_interval(9, 3, 32)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.0271, 0.3897)
    """
    _check_pairs(wins, losses, n)
    check_share(level, "level")
    if n == 0:
        return NotEstimable("no pair yet")
    z = float(norm.isf((1 - level) / 2))
    estimate = (wins - losses) / n
    lower = _solve(wins, losses, n, z, estimate, -1.0)
    upper = _solve(wins, losses, n, -z, estimate, 1.0)
    return Estimate(estimate, lower, upper, level, n, "Tango score interval", _ASSUMPTIONS)


def _solve(wins: int, losses: int, n: int, z: float, estimate: float, edge: float) -> float:
    """Return where the score statistic, which falls with the difference, is `z`."""
    inner = math.copysign(1 - 1e-12, edge)
    if abs(estimate - edge) < 1e-12:
        return edge
    if abs(estimate) == 1:
        estimate = -inner
    if (tango_z(wins, losses, n, inner) - z) * (tango_z(wins, losses, n, estimate) - z) > 0:
        return edge
    return float(brentq(lambda d: tango_z(wins, losses, n, d) - z, estimate, inner, xtol=1e-15, rtol=1e-13))


def tango_test(
    wins: int, losses: int, n: int, null_difference: float, alternative: Alternative = "two-sided"
) -> TestResult:
    """Return Tango's score test of "the difference (wins - losses) / n is `null_difference`".

    The null differences that it does not reject are `tango_interval`. Without a pair p is 1.

    Args:
        wins: Pairs in which only the treatment did well.
        losses: Pairs in which only control did.
        n: All pairs.
        null_difference: In (-1, 1).
        alternative: "greater" looks for a difference above the null one.

    Raises:
        ValueError: Bad counts, `null_difference` out of range, or an unknown alternative.

    Source:
        Tango 1998, Statistics in Medicine 17:891-908.

    >>> round(tango_test(9, 3, 32, 0.0).p_value, 4)
    0.0833
    """
    _check_pairs(wins, losses, n)
    check_null_mean(null_difference, "null_difference")
    check_alternative(alternative)
    if n == 0:
        return TestResult(0.0, 1.0, 0, "Tango score test", ("no pair yet",))
    z = tango_z(wins, losses, n, null_difference)
    tails = {"two-sided": _two_sided(z), "greater": float(norm.sf(z)), "less": float(norm.cdf(z))}
    return TestResult(z, tails[alternative], n, "Tango score test", _ASSUMPTIONS)


def tango_noninferiority(wins: int, losses: int, n: int, margin: float) -> TestResult:
    """Return the one-sided test of "the treatment is worse by `margin` or more". Without a pair p is 1.

    Args:
        wins: Pairs in which only the treatment did well.
        losses: Pairs in which only control did.
        n: All pairs.
        margin: In (0, 1), fixed before the data.

    Raises:
        ValueError: Bad counts, or `margin` out of range.

    Source:
        Tango 1998; equal to the test of Nam 1997 and Liu et al. 2002.

    >>> round(tango_noninferiority(18, 22, 1000, 0.02).p_value, 6)
    0.009289
    """
    found = tango_test(wins, losses, n, -check_share(margin, "margin"), "greater")
    return TestResult(found.statistic, found.p_value, n, "Tango non-inferiority", found.assumptions)


def cluster_mcnemar(losses: ArrayLike, wins: ArrayLike) -> TestResult:
    """Return McNemar's test with clusters (users, conversations, templates) as the independent units.

    With one pair per cluster the statistic is McNemar's z with the other sign: above 0 where losses prevail. Clusters
    without a discordant pair change nothing, and without any discordant pair p is 1.

    Args:
        losses: Losses of each cluster, shape (clusters,).
        wins: Wins of each cluster, shape (clusters,).

    Raises:
        ValueError: A negative count, or two lengths.

    Source:
        z = sum d / sqrt(sum d^2) over the clusters' d = losses - wins (Obuchowski 1998; Durkalski et al. 2003).

    >>> round(cluster_mcnemar([3, 0, 5], [1, 2, 0]).statistic, 4)
    0.8704
    """
    lost, won = check_values(losses, "losses"), check_values(wins, "wins")
    if lost.size != won.size:
        raise ValueError(f"len(losses) == {lost.size}, must be len(wins) == {won.size}")
    for values, name in ((lost, "losses"), (won, "wins")):
        for place in np.flatnonzero(values < 0)[:1].tolist():
            check_count(int(values[place]), f"{name}[{place}]")
    differences = lost - won
    spread = math.sqrt(float((differences**2).sum()))
    z = float(differences.sum()) / spread if spread else 0.0
    return TestResult(z, _two_sided(z), lost.size, "cluster-robust McNemar", ("independent clusters", "one look"))


def newcombe_paired(
    both: int, only_treatment: int, only_control: int, neither: int, level: float = 0.95
) -> Estimate | NotEstimable:
    """Return Newcombe's square-and-add interval of the paired difference.

    Args:
        both: Pairs in which both did well.
        only_treatment: Wins.
        only_control: Losses.
        neither: Pairs in which none did.
        level: Confidence.

    Raises:
        ValueError: A negative count, or `level` out of range.

    Source:
        Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10, with its continuity correction of phi.

    >>> found = newcombe_paired(59, 6, 16, 80)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.1186, -0.0046)
    """
    counts = {"both": both, "only_treatment": only_treatment, "only_control": only_control, "neither": neither}
    n = sum(check_count(count, name) for name, count in counts.items())
    check_share(level, "level")
    if n == 0:
        return NotEstimable("no pair yet")
    z = float(norm.isf((1 - level) / 2))
    p1, p2 = (both + only_treatment) / n, (both + only_control) / n
    (l1, u1), (l2, u2) = _wilson(p1, n, z), _wilson(p2, n, z)
    phi = _phi(both, only_treatment, only_control, neither)
    d = (only_treatment - only_control) / n
    down = math.sqrt(max(0.0, (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2))
    up = math.sqrt(max(0.0, (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2))
    return Estimate(d, d - down, d + up, level, n, "Newcombe square-and-add", _ASSUMPTIONS)


def _phi(both: int, only_treatment: int, only_control: int, neither: int) -> float:
    """Return the correlation of the two outcomes; one that is positive is moved towards 0 by half a pair."""
    # Python's integers: the product of four counts overflows numpy's.
    both, only_treatment, only_control, neither = map(int, (both, only_treatment, only_control, neither))
    n = both + only_treatment + only_control + neither
    product = (both + only_treatment) * (only_control + neither) * (both + only_control) * (only_treatment + neither)
    association: float = both * neither - only_treatment * only_control
    if association > 0:
        association = max(association - n / 2, 0)
    return association / math.sqrt(product) if product else 0.0


def _wilson(p: float, n: int, z: float) -> tuple[float, float]:
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - spread) / (1 + z * z / n)), min(1.0, (centre + spread) / (1 + z * z / n))


def _check_pairs(wins: int, losses: int, n: int) -> None:
    check_count(wins, "wins")
    check_count(losses, "losses")
    check_count(wins + losses, "wins + losses", most=check_count(n, "n"))
