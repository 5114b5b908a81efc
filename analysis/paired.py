"""Paired binary outcomes at a fixed sample size, for reports: McNemar and Tango.

Wins are pairs in which only the treatment did well, losses those in which only control did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.stats import binom, norm

from analysis.checks import check_count, check_share
from analysis.result import Estimate, NotEstimable, TestResult


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

    Source:
        Fagerland, Lydersen & Laake 2013 (mid-p).

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

    Source:
        Tango 1998, Statistics in Medicine 17:891-908; q is the restricted maximum-likelihood estimate.
    """
    d = null_difference
    a, b, c = 2 * n, -wins - losses + (2 * n - wins + losses) * d, -losses * d * (1 - d)
    q = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * q + d * (1 - d))
    numerator = wins - losses - n * d
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)


def tango_interval(wins: int, losses: int, n: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Tango's score interval of the paired difference (wins - losses) / n.

    Raises:
        ValueError: Negative counts, or more discordant pairs than pairs.

    >>> found = tango_interval(9, 3, 32)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.0271, 0.3897)
    """
    _check_pairs(wins, losses, n)
    check_share(level, "level")
    if n == 0:
        return NotEstimable("no pair yet")
    z = float(norm.ppf((1 + level) / 2))
    estimate = (wins - losses) / n
    lower = _solve(wins, losses, n, z, estimate, -1.0)
    upper = _solve(wins, losses, n, -z, estimate, 1.0)
    return Estimate(estimate, lower, upper, level, n, "Tango score interval", ("independent pairs", "one look"))


def _solve(wins: int, losses: int, n: int, z: float, estimate: float, edge: float) -> float:
    """Return where the score statistic, which falls with the difference, is `z`."""
    inner = math.copysign(1 - 1e-12, edge)
    if abs(estimate - edge) < 1e-12:
        return edge
    if (tango_z(wins, losses, n, inner) - z) * (tango_z(wins, losses, n, estimate) - z) > 0:
        return edge
    return float(brentq(lambda d: tango_z(wins, losses, n, d) - z, estimate, inner, xtol=1e-12))


def tango_noninferiority(wins: int, losses: int, n: int, margin: float) -> TestResult:
    """Return the one-sided test of "the treatment is worse by `margin` or more".

    >>> round(tango_noninferiority(18, 22, 1000, 0.02).p_value, 6)
    0.009289
    """
    _check_pairs(wins, losses, n)
    check_share(margin, "margin")
    if n == 0:
        return TestResult(0.0, 1.0, 0, "Tango non-inferiority", ("no pair yet",))
    z = tango_z(wins, losses, n, -margin)
    return TestResult(z, float(norm.sf(z)), n, "Tango non-inferiority", ("independent pairs", "one look"))


def cluster_mcnemar(losses: Sequence[int], wins: Sequence[int]) -> TestResult:
    """Return McNemar's test with clusters (users, conversations, templates) as the independent units.

    Args:
        losses: Losses of each cluster, shape (clusters,).
        wins: Wins of each cluster, shape (clusters,).

    Source:
        z = sum d / sqrt(sum d^2) over the clusters' d = losses - wins (Obuchowski 1998; Durkalski et al. 2003).

    >>> round(cluster_mcnemar([3, 0, 5], [1, 2, 0]).statistic, 4)
    0.8704
    """
    differences = [loss - win for loss, win in zip(losses, wins, strict=True)]
    spread = math.sqrt(sum(d * d for d in differences))
    z = sum(differences) / spread if spread else 0.0
    return TestResult(
        z, _two_sided(z), len(differences), "cluster-robust McNemar", ("independent clusters", "one look")
    )


def newcombe_paired(both: int, only_treatment: int, only_control: int, neither: int, level: float = 0.95) -> Estimate:
    """Return Newcombe's square-and-add interval of the paired difference.

    Source:
        Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10, with its continuity correction of phi.

    >>> found = newcombe_paired(59, 6, 16, 80)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.1186, -0.0046)
    """
    n = both + only_treatment + only_control + neither
    z = float(norm.ppf((1 + level) / 2))
    p1, p2 = (both + only_treatment) / n, (both + only_control) / n
    (l1, u1), (l2, u2) = _wilson(p1, n, z), _wilson(p2, n, z)
    product = (both + only_treatment) * (only_control + neither) * (both + only_control) * (only_treatment + neither)
    association: float = both * neither - only_treatment * only_control
    if association > 0:
        association = max(association - n / 2, 0)
    phi = association / math.sqrt(product) if product else 0.0
    d = p1 - p2
    down = math.sqrt(max(0.0, (p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2))
    up = math.sqrt(max(0.0, (p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2))
    return Estimate(d, d - down, d + up, level, n, "Newcombe square-and-add", ("independent pairs", "one look"))


def _wilson(p: float, n: int, z: float) -> tuple[float, float]:
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def _check_pairs(wins: int, losses: int, n: int) -> None:
    check_count(wins, "wins")
    check_count(losses, "losses")
    check_count(wins + losses, "wins + losses", most=n)
