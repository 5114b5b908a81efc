"""The coin e-process on discordant pairs: given that two answers differ, is it the treatment that lost?

Ties say nothing here, so the hypothesis is about the share theta of losses among discordant pairs; theta = 1/2 is "no
difference". A Beta(a, b) mixture of the likelihood ratios against the null is a test martingale (Robbins 1970). With a
null of 1/2 it is the continuous form of `analysis.eprocess` at a mean of 0: there, theta = (1 + lambda) / 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln

from analysis.checks import check_positive, check_share

Floats = NDArray[np.float64]
_UNDERFLOW = 1e-290
_MOST_TERMS = 100_000


def log_e_coin(
    losses: ArrayLike, wins: ArrayLike, beta_a: float = 1.0, beta_b: float = 1.0, null_theta: float = 0.5
) -> Floats:
    """Return log evidence against "theta is `null_theta`", in either direction, over arrays.

    Args:
        losses: Pairs that only control got right; any shape.
        wins: Pairs that only the treatment got right.
        beta_a: First parameter of the prior of theta.
        beta_b: Second parameter.
        null_theta: Share of losses under the null.

    Raises:
        ValueError: An argument is out of range.

    >>> log_e_coin([0, 30], [0, 10]).round(4).tolist()
    [0.0, 3.4543]
    """
    lost, won = _checked(losses, "losses"), _checked(wins, "wins")
    a, b = check_positive(beta_a, "beta_a"), check_positive(beta_b, "beta_b")
    theta = check_share(null_theta, "null_theta")
    mixed = betaln(lost + a, won + b) - betaln(a, b)
    return np.asarray(mixed - lost * np.log(theta) - won * np.log1p(-theta))


def log_e_coin_harm(
    losses: ArrayLike, wins: ArrayLike, beta_a: float = 1.0, beta_b: float = 1.0, null_theta: float = 0.5
) -> Floats:
    """Return log evidence against "theta is at most `null_theta`": large when the treatment loses more.

    The prior is the Beta(a, b) truncated to theta above the null. Arguments as in `log_e_coin`.

    Raises:
        ValueError: An argument is out of range.

    >>> log_e_coin_harm([0, 30], [0, 10]).round(4).tolist()
    [0.0, 4.1467]
    """
    lost, won = np.broadcast_arrays(_checked(losses, "losses"), _checked(wins, "wins"))
    both = log_e_coin(lost, won, beta_a, beta_b, null_theta)
    kept = _log_tail(lost + beta_a, won + beta_b, null_theta)
    return np.asarray(both + kept - _log_tail(np.array(beta_a), np.array(beta_b), null_theta))


def _log_tail(a: Floats, b: Floats, theta: float) -> Floats:
    """Return log P(Beta(a, b) > theta), also where the probability is too small for a float."""
    tail = np.asarray(betaincc(a, b, theta))
    tiny = tail < _UNDERFLOW
    logs = np.log(np.where(tiny, 1.0, tail))
    if np.any(tiny):
        logs = np.where(tiny, 0.0, logs)
        p, q = b[tiny], a[tiny]
        leading = p * np.log1p(-theta) + q * np.log(theta) - np.log(p) - betaln(p, q)
        logs[tiny] = leading - np.log(_continued_fraction(p, q, 1 - theta))
    return logs


def _continued_fraction(p: Floats, q: Floats, x: float) -> Floats:
    """Return 1 + d1/(1 + d2/(1 + ...)) of the incomplete beta function I_x(p, q), for x far below p/(p + q).

    Modified Lentz evaluation; DLMF 8.17.22.
    """
    value = np.ones_like(p)
    above, below = np.ones_like(p), np.zeros_like(p)
    for term in range(1, _MOST_TERMS):
        m = term // 2
        if term % 2:
            d = -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1))
        else:
            d = m * (q - m) * x / ((p + 2 * m - 1) * (p + 2 * m))
        below = 1 / (1 + d * below)
        above = 1 + d / above
        value = value * above * below
        if np.all(np.abs(above * below - 1) < 1e-15):
            break
    return value


def _checked(counts: ArrayLike, name: str) -> Floats:
    array = np.asarray(counts, dtype=np.float64)
    negative = ~(array >= 0)
    if np.any(negative):
        raise ValueError(f"{name} == {float(array[negative].flat[0])!r}, must be >= 0")
    return array
