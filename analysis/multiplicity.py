"""Several hypotheses at once: metrics, slices, goals.

For monitoring, e-values: they may depend on each other in any way and be looked at as often as one likes, provided that
all are taken at the same look (one filtration). For reports at a fixed size, p-values: Holm (any dependence) and
Benjamini-Hochberg (independence or positive dependence). Benjamini-Hochberg on p-values that were peeked at is invalid.

E-values come as logarithms, so that nothing overflows; an e-value of 0 is -inf. A value that meets its threshold up to
rounding (1e-12 of a logarithm) meets it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from statsmodels.stats.multitest import multipletests

from analysis.checks import check_share
from analysis.rendering import Rendered

_ROUNDING = 1e-12
_SAME_LOOK = ("e-values of the same look", "any dependence")


@dataclass(frozen=True, slots=True)
class EDecision(Rendered):
    """Which hypotheses are rejected on e-values."""

    rejected: tuple[int, ...]
    """Indices, rising."""
    adjusted_log_e: tuple[float, ...]
    """Log e-value after the correction: rejected where it reaches log(1 / alpha)."""
    alpha: float
    n: int
    """Hypotheses."""
    method: str
    assumptions: tuple[str, ...] = _SAME_LOOK


@dataclass(frozen=True, slots=True)
class PDecision(Rendered):
    """Which hypotheses are rejected on p-values."""

    rejected: tuple[int, ...]
    """Indices, rising."""
    adjusted_p: tuple[float, ...]
    """p-value after the correction: rejected where it is at most alpha."""
    alpha: float
    n: int
    """Hypotheses."""
    method: str
    assumptions: tuple[str, ...]


def log_average_e(log_e: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return log of the weighted average e-value: an e-value of "all the null hypotheses hold", under any dependence.

    Args:
        log_e: Log e-values, shape (hypotheses,).
        weights: Fixed before the data, not negative, adding up to 1 at most; equal unless given.

    Raises:
        ValueError: A log e-value is NaN, or the weights are not as above.

    Source:
        Vovk & Wang 2021, Annals of Statistics 49:1736-1754.

    >>> round(math.exp(log_average_e(np.log([0.5, 3, 40, 1.2]))), 3)
    11.175
    """
    values = _check_log_e(log_e)
    shares = _check_weights(weights, len(values))
    used = shares > 0
    if not np.any(used):
        return -math.inf
    return float(logsumexp(values[used], b=shares[used]))


def e_bonferroni(log_e: ArrayLike, alpha: float, weights: ArrayLike | None = None) -> EDecision:
    """Return where weight times e-value reaches 1/alpha: any false rejection at all has a chance of alpha at most.

    Args:
        log_e: Log e-values, shape (hypotheses,).
        alpha: Family-wise level.
        weights: As in `log_average_e`; each hypothesis has the level weight times alpha.

    Raises:
        ValueError: As `log_average_e`, or `alpha` is not in (0, 1).

    Source:
        Wang & Ramdas 2022, JRSS B 84:822-852, section 2; Ville's inequality and a union bound.

    >>> e_bonferroni(np.log([0.5, 3, 400, 1.2]), 0.05).rejected
    (2,)
    """
    check_share(alpha, "alpha")
    values = _check_log_e(log_e)
    shares = _check_weights(weights, len(values))
    adjusted = np.full(len(values), -math.inf)
    used = shares > 0
    adjusted[used] = np.log(shares[used]) + values[used]
    return _e_decision(adjusted, alpha, "weighted e-Bonferroni")


def e_bh(log_e: ArrayLike, alpha: float) -> EDecision:
    """Return the rejections of e-BH: among them, a share of alpha at most is false on average.

    It names slices where there is harm; it does not decide alone. The rejected are the k largest e-values, for the
    largest k with k E_(k) / K >= 1 / alpha.

    Args:
        log_e: Log e-values, shape (hypotheses,).
        alpha: False discovery rate.

    Raises:
        ValueError: A log e-value is NaN, or `alpha` is not in (0, 1).

    Source:
        Wang & Ramdas 2022, JRSS B 84:822-852.

    >>> e_bh(np.log([80, 30, 50, 2, 1, 0.5, 25, 90]), 0.1).rejected
    (0, 1, 2, 6, 7)
    """
    check_share(alpha, "alpha")
    values = _check_log_e(log_e)
    falling = np.argsort(-values, kind="stable")
    scaled = values[falling] + np.log(np.arange(1, len(values) + 1)) - math.log(max(1, len(values)))
    adjusted = np.empty(len(values))
    # A hypothesis goes with every larger group that is rejected as a whole.
    adjusted[falling] = np.maximum.accumulate(scaled[::-1])[::-1]
    return _e_decision(adjusted, alpha, "e-BH")


def holm(p_values: Sequence[float], alpha: float = 0.05) -> PDecision:
    """Return Holm's step-down decision: any false rejection at all has a chance of alpha at most.

    Args:
        p_values: Shape (hypotheses,).
        alpha: Family-wise level.

    Raises:
        ValueError: A p-value is not in [0, 1], or `alpha` is not in (0, 1).

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6:65-70; computed by statsmodels.

    >>> holm([0.01, 0.04, 0.03, 0.005]).adjusted_p
    (0.03, 0.06, 0.06, 0.02)
    """
    return _p_decision(p_values, alpha, "holm", "Holm", ("any dependence", "one look"))


def benjamini_hochberg(p_values: Sequence[float], alpha: float = 0.05) -> PDecision:
    """Return Benjamini and Hochberg's decision: of the rejections, a share of alpha at most is false on average.

    Args:
        p_values: Shape (hypotheses,).
        alpha: False discovery rate.

    Raises:
        ValueError: A p-value is not in [0, 1], or `alpha` is not in (0, 1).

    Source:
        Benjamini & Hochberg 1995, JRSS B 57:289-300; computed by statsmodels.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.005]).rejected
    (0, 1, 2, 3)
    """
    assumptions = ("independent or positively dependent p-values", "one look")
    return _p_decision(p_values, alpha, "fdr_bh", "Benjamini-Hochberg", assumptions)


def _e_decision(adjusted: NDArray[np.float64], alpha: float, method: str) -> EDecision:
    rejected = np.flatnonzero(adjusted >= math.log(1 / alpha) - _ROUNDING)
    return EDecision(tuple(rejected.tolist()), tuple(adjusted.tolist()), alpha, len(adjusted), method)


def _p_decision(
    p_values: Sequence[float], alpha: float, rule: str, method: str, assumptions: tuple[str, ...]
) -> PDecision:
    check_share(alpha, "alpha")
    values = np.asarray(p_values, dtype=np.float64)
    outside = ~((values >= 0) & (values <= 1))
    if np.any(outside):
        raise ValueError(f"p_values == {float(values[outside][0])!r}, must be in [0, 1]")
    if len(values) == 0:
        return PDecision((), (), alpha, 0, method, assumptions)
    rejected, adjusted, _, _ = multipletests(values, alpha=alpha, method=rule)
    kept = tuple(np.flatnonzero(rejected).tolist())
    return PDecision(kept, tuple(adjusted.tolist()), alpha, len(values), method, assumptions)


def _check_log_e(log_e: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(log_e, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"log_e.shape == {values.shape!r}, must be (hypotheses,)")
    if np.any(np.isnan(values)):
        raise ValueError(f"log_e == {values.tolist()!r}, must not hold NaN")
    return values


def _check_weights(weights: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if weights is None:
        return np.full(n, 1 / max(1, n))
    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (n,):
        raise ValueError(f"weights.shape == {shares.shape!r}, must be {(n,)!r}: one per hypothesis")
    if not np.all(shares >= 0) or shares.sum() > 1 + 1e-9:
        raise ValueError(f"weights == {shares.tolist()!r}, must be >= 0 and add up to 1 at most")
    return shares
