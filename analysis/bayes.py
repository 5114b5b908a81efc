"""What a posterior says, for display beside the decision. It never triggers an action.

A rule like "stop when P(better) > 95 %" errs in 33 % of A/A tests that are looked at 200 times: the posterior is not
calibrated under monitoring. Decisions come from the e-processes; these figures only put them into words that many
readers prefer. Priors are fixed in advance and shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betaincc, betainccinv, betaincinv, ndtri

from analysis.checks import check_count, check_positive, check_share
from analysis.rendering import Rendered

Floats = NDArray[np.float64]

_TAIL = 1e-16
"""Posterior mass outside of what is integrated over."""
_PANELS = 32
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_DISPLAY = "for display: a posterior under monitoring is no error control, and no action follows from it"


@dataclass(frozen=True, slots=True)
class Posterior(Rendered):
    """A probability with the posterior of the difference treatment - control."""

    probability: float
    """Of what the function says: better, or not worse by the margin."""
    value: float
    """Posterior mean of the difference."""
    lower: float
    upper: float
    level: float
    """Mass of the equal-tailed credible interval."""
    n: int
    method: str
    assumptions: tuple[str, ...]


def paired_posterior(
    losses: int,
    ties: int,
    wins: int,
    margin: float = 0.0,
    prior: tuple[float, float, float] = (1.0, 1.0, 1.0),
    level: float = 0.95,
) -> Posterior:
    """Return the posterior probability that the paired difference is above -margin.

    The rates of loss, tie and win have a Dirichlet posterior. The discordance is Beta, the share of wins in it another,
    independent Beta; the probability is an integral over the discordance.

    Args:
        losses: Pairs that only control got right.
        ties: Pairs that both or neither got right.
        wins: Pairs that only the treatment got right.
        margin: Loss that is accepted, in [0, 1); 0 asks whether the treatment is better.
        prior: Dirichlet weights of loss, tie and win.
        level: Mass of the credible interval.

    Raises:
        ValueError: A count is negative, a prior weight is not above 0, or margin or level is out of range.

    >>> round(paired_posterior(22, 960, 18, margin=0.02).probability, 6)
    0.992308
    """
    for name, count in (("losses", losses), ("ties", ties), ("wins", wins)):
        check_count(count, name)
    for weight in prior:
        check_positive(weight, "prior")
    if not 0 <= margin < 1:
        raise ValueError(f"margin == {margin!r}, must be in [0, 1)")
    check_share(level, "level")
    loss, tie, win = (weight + count for weight, count in zip(prior, (losses, ties, wins), strict=True))

    def above(difference: float) -> float:
        return _paired_above(loss, tie, win, difference)

    total = loss + tie + win
    value = (win - loss) / total
    sd = math.sqrt(max(0.0, (loss + win) / total - value**2) / (total + 1))
    return Posterior(
        above(-margin),
        value,
        *_interval(above, value, sd, level),
        level,
        losses + ties + wins,
        "Dirichlet posterior",
        (f"prior {prior}", "independent pairs", _DISPLAY),
    )


def beta_binomial_posterior(
    control: tuple[int, int],
    treatment: tuple[int, int],
    margin: float = 0.0,
    prior: tuple[float, float] = (1.0, 1.0),
    level: float = 0.95,
) -> Posterior:
    """Return the posterior probability that the treatment's rate is above control's minus the margin.

    Args:
        control: (successes, units) of control.
        treatment: (successes, units) of the treatment.
        margin: Loss that is accepted, in [0, 1); 0 asks whether the treatment is better.
        prior: Beta weights of success and failure, the same for both arms.
        level: Mass of the credible interval.

    Raises:
        ValueError: More successes than units, a prior weight is not above 0, or margin or level is out of range.

    >>> round(beta_binomial_posterior((850, 1000), (830, 1000)).probability, 6)
    0.11155
    """
    for name, (successes, units) in (("control", control), ("treatment", treatment)):
        check_count(units, f"{name} units")
        check_count(successes, f"{name} successes", most=units)
    for weight in prior:
        check_positive(weight, "prior")
    if not 0 <= margin < 1:
        raise ValueError(f"margin == {margin!r}, must be in [0, 1)")
    check_share(level, "level")
    c, t = ((prior[0] + s, prior[1] + n - s) for s, n in (control, treatment))

    def above(difference: float) -> float:
        return _rate_above(c, t, difference)

    value = t[0] / sum(t) - c[0] / sum(c)
    sd = math.sqrt(sum(a * b / ((a + b) ** 2 * (a + b + 1)) for a, b in (c, t)))
    return Posterior(
        above(-margin),
        value,
        *_interval(above, value, sd, level),
        level,
        control[1] + treatment[1],
        "beta-binomial posterior",
        (f"prior {prior}", "independent units", _DISPLAY),
    )


def _paired_above(loss: float, tie: float, win: float, difference: float) -> float:
    """Return P(p_win - p_loss > difference) for Dirichlet weights."""
    if difference < 0:
        return 1 - _paired_above(win, tie, loss, -difference)

    def more_wins(discordance: Floats) -> Floats:
        # The share of wins must exceed (1 + difference / discordance) / 2.
        share = (1 + np.minimum(1.0, difference / discordance)) / 2
        return np.asarray(betaincc(win, loss, share))

    return _mean_over_beta(loss + win, tie, more_wins, (difference,))


def _rate_above(control: tuple[float, float], treatment: tuple[float, float], difference: float) -> float:
    """Return P(treatment's rate - control's rate > difference) for Beta weights."""
    kinks = (-difference, 1 - difference)
    if sum(control) < sum(treatment):
        # The outer integral runs over the sharper law, on whose scale the other one is smooth.
        return 1 - _rate_above(treatment, control, -difference)
    return _mean_over_beta(*control, lambda rate: betaincc(*treatment, np.clip(rate + difference, 0.0, 1.0)), kinks)


def _mean_over_beta(a: float, b: float, probability: Callable[[Floats], Floats], kinks: tuple[float, ...]) -> float:
    """Return the mean of a conditional probability over x ~ Beta(a, b), by Gauss-Legendre panels between the kinks.

    With x = sin^2(angle) the density has no singularity for weights from 1/2 on.
    """
    low, high = _angle(float(betaincinv(a, b, _TAIL))), _angle(float(betainccinv(a, b, _TAIL)))
    inner = [_angle(kink) for kink in kinks if 0 < kink < 1]
    edges = np.unique(np.clip([*np.linspace(low, high, _PANELS + 1), *inner], low, high))
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    angles, widths = (middle + half * _NODES).ravel(), (half * _WEIGHTS).ravel()
    logs = (2 * a - 1) * np.log(np.sin(angles)) + (2 * b - 1) * np.log(np.cos(angles))
    mass = widths * np.exp(logs - logs.max())
    return float(min(1.0, max(0.0, mass @ probability(np.sin(angles) ** 2) / mass.sum())))


def _angle(x: float) -> float:
    return math.asin(math.sqrt(min(1.0, max(0.0, x))))


def _interval(above: Callable[[float], float], value: float, sd: float, level: float) -> tuple[float, float]:
    """Return the equal-tailed credible interval."""
    return _quantile(above, (1 + level) / 2, value, sd), _quantile(above, (1 - level) / 2, value, sd)


def _quantile(above: Callable[[float], float], mass: float, value: float, sd: float) -> float:
    """Return the difference that is exceeded with probability `mass`, searched from the mean outwards."""
    reach = sd * (abs(float(ndtri(mass))) + 1)
    low, high = max(-1.0, value - reach), min(1.0, value + reach)
    while low > -1 and above(low) <= mass:
        low = max(-1.0, low - reach)
    while high < 1 and above(high) >= mass:
        high = min(1.0, high + reach)
    return float(brentq(lambda difference: above(difference) - mass, low, high, xtol=1e-6 * sd))
