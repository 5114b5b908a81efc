"""Sample sizes of the fixed-sample tests, and their inverses: power at n, detectable harm at n, provable margin at n.

For planning and for the reader's sense of scale. How long an e-process takes is in `analysis.forecast`.

All follow one normal approximation: with a gap between the true difference and the boundary of the null hypothesis, a
standard deviation s0 of one observation at the boundary and s1 under the truth,
n = ((z_alpha s0 + z_power s1) / gap)^2. The s0 are those of the score tests that the reports use: restricted
maximum likelihood, not the unrestricted estimate. Simulated power is within 1.5 percentage points of the target from
about 900 pairs on, and up to 3 above it in small designs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.stats import norm

from analysis.checks import check_count, check_positive, check_probability, check_share
from analysis.rendering import Rendered
from analysis.restricted_rates import restricted_shares
from analysis.result import NotEstimable

_PAIRED = ("independent pairs", "one look", "normal approximation")
_UNPAIRED = ("independent units", "one look", "normal approximation")


@dataclass(frozen=True, slots=True)
class SampleSize(Rendered):
    """How many observations a fixed-sample test needs."""

    n: int
    """Rounded up; for two arms, of the treatment's arm."""
    exact: float
    """Before rounding."""
    alpha: float
    """One-sided."""
    power: float
    method: str
    assumptions: tuple[str, ...]


class _Design(NamedTuple):
    """What the normal approximation needs to know."""

    gap: float
    """Distance of the truth from the null hypothesis; not above 0 if the null hypothesis is true."""
    null_sd: float
    true_sd: float

    def size(self, alpha: float, power: float) -> float:
        root = norm.isf(alpha) * self.null_sd + norm.ppf(power) * self.true_sd
        return max(0.0, float(root) / self.gap) ** 2

    def power(self, n: float, alpha: float) -> float:
        excess = math.sqrt(n) * self.gap - float(norm.isf(alpha)) * self.null_sd
        if self.true_sd <= 0:
            return 1.0 if excess >= 0 else 0.0
        return float(norm.cdf(excess / self.true_sd))


# --- pairs ------------------------------------------------------------------------------------------------------------


def paired_harm_sample_size(
    p_loss: float, p_win: float, alpha: float = 0.05, power: float = 0.9, tolerance: float = 0.0
) -> SampleSize | NotEstimable:
    """Return the pairs that a one-sided test needs to see a harm beyond the tolerance.

    Args:
        p_loss: Probability of a pair that only control gets right.
        p_win: Probability of a pair that only the treatment gets right.
        alpha: One-sided level.
        power: Wanted chance of seeing it.
        tolerance: Loss that is accepted, in [0, 1); 0 gives the one-sided McNemar test.

    Raises:
        ValueError: A probability is out of range.

    Source:
        Connor 1987, Biometrics 43:207-211; with a tolerance the null variance of Tango 1998.

    >>> round(paired_harm_sample_size(0.04, 0.02).exact, 2)
    1280.82
    """
    _check_goal(alpha, power)
    design = _paired_design(p_loss, p_win, -_check_tolerance(tolerance), sign=-1)
    if design.gap <= 0:
        return NotEstimable(f"a difference of {p_win - p_loss:+.4g} is no harm beyond a tolerance of {tolerance:g}")
    return _sample_size(design, alpha, power, "one-sided McNemar" if tolerance == 0 else "Tango score test of harm")


def paired_harm_power(
    n: int, p_loss: float, p_win: float, alpha: float = 0.05, tolerance: float = 0.0
) -> float | NotEstimable:
    """Return the chance that `n` pairs show a harm: the inverse of `paired_harm_sample_size`.

    Raises:
        ValueError: `n` or a probability is out of range.

    >>> round(paired_harm_power(1281, 0.04, 0.02), 3)
    0.9
    """
    check_count(n, "n")
    check_share(alpha, "alpha")
    design = _paired_design(p_loss, p_win, -_check_tolerance(tolerance), sign=-1)
    if design.gap <= 0:
        return NotEstimable(f"a difference of {p_win - p_loss:+.4g} is no harm beyond a tolerance of {tolerance:g}")
    return design.power(n, alpha)


def paired_minimum_detectable_harm(
    n: int, p_discordant: float, alpha: float = 0.05, power: float = 0.8, tolerance: float = 0.0
) -> float | NotEstimable:
    """Return the smallest loss, as a positive number, that `n` pairs show with the given power.

    Args:
        n: Pairs.
        p_discordant: Probability of a discordant pair; a loss larger than it brings its own discordant pairs along.
        alpha: One-sided level.
        power: Wanted chance of seeing it.
        tolerance: Loss that is accepted.

    Raises:
        ValueError: `n` or a probability is out of range.

    >>> round(paired_minimum_detectable_harm(1281, 0.06, power=0.9), 4)
    0.02
    """
    check_count(n, "n")
    check_probability(p_discordant, "p_discordant")
    _check_goal(alpha, power)
    floor = _check_tolerance(tolerance)

    def shortfall(harm: float) -> float:
        losses, wins = split_discordance(p_discordant, harm)
        return power - _paired_design(losses, wins, -floor, sign=-1).power(n, alpha)

    return _least(shortfall, floor, f"not even a total loss shows in {n} pairs")


def paired_noninferiority_sample_size(
    p_loss: float, p_win: float, margin: float, alpha: float = 0.025, power: float = 0.9
) -> SampleSize | NotEstimable:
    """Return the pairs that Tango's test needs to rule out a loss of the margin.

    Args:
        p_loss: Probability of a pair that only control gets right.
        p_win: Probability of a pair that only the treatment gets right.
        margin: Loss to rule out, in (0, 1).
        alpha: One-sided level.
        power: Wanted chance of success.

    Raises:
        ValueError: A probability or the margin is out of range.

    Source:
        Nam 1997, Biometrics 53:1422-1430; Tango 1998, Statistics in Medicine 17:891-908.

    >>> round(paired_noninferiority_sample_size(0.03, 0.03, 0.02, alpha=0.05).exact, 2)
    1348.01
    """
    _check_goal(alpha, power)
    design = _paired_design(p_loss, p_win, -check_share(margin, "margin"), sign=1)
    if design.gap <= 0:
        return _inferior(p_win - p_loss, margin)
    return _sample_size(design, alpha, power, "Tango non-inferiority")


def paired_noninferiority_power(
    n: int, p_loss: float, p_win: float, margin: float, alpha: float = 0.025
) -> float | NotEstimable:
    """Return the chance that `n` pairs rule out the margin: the inverse of `paired_noninferiority_sample_size`.

    Raises:
        ValueError: `n`, a probability or the margin is out of range.

    >>> round(paired_noninferiority_power(1349, 0.03, 0.03, 0.02, alpha=0.05), 3)
    0.9
    """
    check_count(n, "n")
    check_share(alpha, "alpha")
    design = _paired_design(p_loss, p_win, -check_share(margin, "margin"), sign=1)
    return _inferior(p_win - p_loss, margin) if design.gap <= 0 else design.power(n, alpha)


def paired_smallest_margin(
    n: int, p_loss: float, p_win: float, alpha: float = 0.025, power: float = 0.9
) -> float | NotEstimable:
    """Return the smallest margin that `n` pairs can rule out with the given power.

    Raises:
        ValueError: `n` or a probability is out of range.

    >>> round(paired_smallest_margin(1349, 0.03, 0.03, alpha=0.05), 4)
    0.02
    """
    check_count(n, "n")
    _check_goal(alpha, power)

    def shortfall(margin: float) -> float:
        return power - _paired_design(p_loss, p_win, -margin, sign=1).power(n, alpha)

    return _least(shortfall, max(0.0, p_loss - p_win), f"no margin below 1 can be ruled out by {n} pairs")


def split_discordance(p_discordant: float, harm: float) -> tuple[float, float]:
    """Return the probabilities of (loss, win) that have this discordance and this loss; a loss brings its own.

    >>> split_discordance(0.0625, 0.03125)
    (0.046875, 0.015625)
    >>> split_discordance(0.01, 0.05)
    (0.05, 0.0)
    """
    discordant = max(p_discordant, harm)
    return (discordant + harm) / 2, (discordant - harm) / 2


def _paired_design(p_loss: float, p_win: float, null_difference: float, sign: int) -> _Design:
    """Return the design of Tango's test of the null difference; `sign` -1 looks for less, 1 for more than it."""
    check_probability(p_loss, "p_loss")
    check_probability(p_win, "p_win")
    if p_loss + p_win > 1 + 1e-9:
        raise ValueError(f"p_loss + p_win == {p_loss + p_win!r}, must be <= 1")
    difference = p_win - p_loss
    variance = max(0.0, p_loss + p_win - difference**2)
    null_variance = _tango_variance(p_loss, p_win, null_difference)
    return _Design(sign * (difference - null_difference), math.sqrt(null_variance), math.sqrt(variance))


def _tango_variance(p_loss: float, p_win: float, d: float) -> float:
    """Return the variance of one pair's difference, if it is d on average: the limit of the restricted MLE."""
    b = -p_win - p_loss + (2 - p_win + p_loss) * d
    c = -p_loss * d * (1 - d)
    q = (math.sqrt(max(0.0, b * b - 8 * c)) - b) / 4
    return max(0.0, 2 * q + d * (1 - d))


# --- two arms ---------------------------------------------------------------------------------------------------------


def unpaired_noninferiority_sample_size(
    p_treatment: float, p_control: float, margin: float, alpha: float = 0.025, power: float = 0.9, ratio: float = 1.0
) -> SampleSize | NotEstimable:
    """Return the units that the treatment's arm needs to rule out a loss of the margin.

    Args:
        p_treatment: Success rate of the treatment.
        p_control: Success rate of control.
        margin: Loss to rule out, in (0, 1).
        alpha: One-sided level.
        power: Wanted chance of success.
        ratio: Units of control for each unit of the treatment.

    Raises:
        ValueError: A probability, the margin or the ratio is out of range.

    Source:
        Farrington & Manning 1990, Statistics in Medicine 9:1447-1454, equation 4.

    >>> round(unpaired_noninferiority_sample_size(0.85, 0.85, 0.05).exact, 2)
    1080.44
    """
    _check_goal(alpha, power)
    design = _unpaired_design(p_treatment, p_control, margin, ratio)
    if design.gap <= 0:
        return _inferior(p_treatment - p_control, margin)
    exact = design.size(alpha, power)
    return SampleSize(math.ceil(exact), exact, alpha, power, "Farrington-Manning non-inferiority", _UNPAIRED)


def unpaired_noninferiority_power(
    n_treatment: int, p_treatment: float, p_control: float, margin: float, alpha: float = 0.025, ratio: float = 1.0
) -> float | NotEstimable:
    """Return the chance that the margin is ruled out: the inverse of `unpaired_noninferiority_sample_size`.

    Raises:
        ValueError: `n_treatment`, a probability, the margin or the ratio is out of range.

    >>> round(unpaired_noninferiority_power(1081, 0.85, 0.85, 0.05), 3)
    0.9
    """
    check_count(n_treatment, "n_treatment")
    check_share(alpha, "alpha")
    design = _unpaired_design(p_treatment, p_control, margin, ratio)
    return _inferior(p_treatment - p_control, margin) if design.gap <= 0 else design.power(n_treatment, alpha)


def _unpaired_design(p_treatment: float, p_control: float, margin: float, ratio: float) -> _Design:
    check_probability(p_treatment, "p_treatment")
    check_probability(p_control, "p_control")
    check_share(margin, "margin")
    check_positive(ratio, "ratio")
    q_treatment, q_control = restricted_shares(p_treatment, p_control, ratio, -margin)
    null = q_treatment * (1 - q_treatment) + q_control * (1 - q_control) / ratio
    true = p_treatment * (1 - p_treatment) + p_control * (1 - p_control) / ratio
    return _Design(p_treatment - p_control + margin, math.sqrt(max(0.0, null)), math.sqrt(true))


# --- shared -----------------------------------------------------------------------------------------------------------


def _sample_size(design: _Design, alpha: float, power: float, method: str) -> SampleSize:
    exact = design.size(alpha, power)
    return SampleSize(max(1, math.ceil(exact)), exact, alpha, power, method, _PAIRED)


def _least(shortfall: Callable[[float], float], floor: float, reason: str) -> float | NotEstimable:
    """Return where `shortfall`, which falls, reaches 0 in (floor, 1)."""
    # At the floor itself there is nothing to find, and without any discordance no variance either.
    start, edge = floor + 1e-12, 1 - 1e-9
    if start >= edge or shortfall(edge) > 0:
        return NotEstimable(reason)
    if shortfall(start) <= 0:
        return start
    return float(brentq(shortfall, start, edge, xtol=1e-13))


def _inferior(difference: float, margin: float) -> NotEstimable:
    return NotEstimable(f"a true difference of {difference:+.4g} is a loss of the margin of {margin:g} or more")


def _check_goal(alpha: float, power: float) -> None:
    check_share(alpha, "alpha")
    check_share(power, "power")
    if power <= alpha:
        raise ValueError(f"power == {power!r}, must be > alpha == {alpha!r}")


def _check_tolerance(tolerance: float) -> float:
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance == {tolerance!r}, must be in [0, 1)")
    return tolerance
