"""Confidence sequences, by inverting e-processes: intervals that are valid at every look, from the stored state.

A value belongs to the sequence while neither one-sided e-process has ruled it out, at alpha/2 each. So "outside of the
interval" and "p below alpha" are the same statement, and the reported interval never argues with the decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betaln

from analysis.betting import BetTable, Floats, Row, log_capitals_and_slopes, log_mean_exp, tables_of_similar_width
from analysis.checks import check_count, check_positive, check_share
from analysis.eprocess import DifferenceCounts
from analysis.result import Estimate, NotEstimable
from analysis.roots import increasing_roots

VIOLATED = "assumptions violated: the running intersection is empty"
_EDGE_WIDTH = 1e-9
_EDGE = 1 - _EDGE_WIDTH
_METHOD = "betting confidence sequence"
_ASSUMPTIONS = ("one independent unit per observation", "constant conditional mean")
_BERNOULLI_METHOD = "beta-binomial confidence sequence"
_BERNOULLI_ASSUMPTIONS = ("one independent unit per observation", "constant probability")
_SMALLEST = 1e-300


def confidence_sequence(state: DifferenceCounts, alpha: float) -> Estimate | NotEstimable:
    """Return all means m that neither one-sided e-process (at alpha/2 each) rejects at this look.

    Args:
        state: The differences, in [-1, 1].
        alpha: Chance that the sequence ever misses the mean.

    Raises:
        ValueError: `alpha` is not in (0, 1).

    Source:
        Waudby-Smith & Ramdas 2024; hedged form with two one-sided mixtures.

    >>> found = confidence_sequence(DifferenceCounts.from_ltw(40, 940, 20), 0.05)
    >>> (round(found.value, 3), round(found.lower, 4), round(found.upper, 4))
    (-0.02, -0.047, 0.0052)
    """
    return confidence_sequences([state], alpha)[0]


def confidence_sequences(states: Sequence[DifferenceCounts], alpha: float) -> list[Estimate | NotEstimable]:
    """Return the confidence sequence of many states at once, each to the bit what `confidence_sequence` gives.

    Args:
        states: The differences of each metric and slice.
        alpha: Chance, for each of them, that its sequence ever misses its mean.

    Raises:
        ValueError: `alpha` is not in (0, 1).
    """
    lower, upper = rejected_ends([state.rows() for state in states], alpha)
    return [
        Estimate(mean := state.mean, min(low, mean), max(high, mean), 1 - alpha, state.n, _METHOD, _ASSUMPTIONS)
        if state.n
        else NotEstimable("no observation yet")
        for state, low, high in zip(states, lower.tolist(), upper.tolist(), strict=True)
    ]


def rejected_ends(states: Sequence[Sequence[Row]], alpha: float) -> tuple[Floats, Floats]:
    """Return (lower, upper): the betting e-processes reject every mean in [-1, 1] outside, at alpha/2 a side.

    Args:
        states: Rows of each state, as `analysis.betting` takes them.
        alpha: Error of both sides together.

    Returns:
        Each of shape (states,); where every mean is rejected, `lower` is above `upper`.

    Raises:
        ValueError: `alpha` is not in (0, 1).
    """
    check_share(alpha, "alpha")
    lower, upper = np.full((2, len(states)), np.nan)
    for chosen, table in tables_of_similar_width(states):
        upper[chosen] = _upper_ends(table, math.log(2 / alpha))
        lower[chosen] = -_upper_ends(table.mirrored(), math.log(2 / alpha))
    return lower, upper


def _upper_ends(table: BetTable, threshold: float) -> Floats:
    """Return the mean from which on "the mean is this or more" is rejected; 1 where none is, -inf where all are.

    The log e-value is increasing and convex in the mean: each bet's log factor log(1 - c + c (h - x)/(h - m)) is.
    """

    def excess(which: NDArray[np.intp], means: Floats) -> tuple[Floats, Floats]:
        capitals, slopes = log_capitals_and_slopes(table.take(which), means)
        log_e = log_mean_exp(capitals)
        slope = np.zeros_like(log_e)
        for layer in np.exp(capitals - log_e) * slopes / len(capitals):
            slope = slope + layer
        return log_e - threshold, slope

    first = _likely_ends(table, threshold)
    edge = np.full(len(first), _EDGE)
    reachable = np.flatnonzero(excess(np.arange(len(first)), edge)[0] > 0)
    found = np.ones(len(first))
    found[reachable] = increasing_roots(
        lambda which, means: excess(reachable[which], means), first[reachable], -edge[reachable], edge[reachable]
    )
    return np.where(found < -_EDGE + _EDGE_WIDTH, -np.inf, found)


def _likely_ends(table: BetTable, threshold: float) -> Floats:
    """Return a first guess of the upper ends: where the best single bet, for nearly normal values, would pay enough."""
    n, total, squares = (
        np.add.accumulate(terms, axis=-1)[..., -1] if terms.shape[-1] else np.zeros(len(terms))
        for terms in (table.counts, table.counts * table.values, table.counts * table.values**2)
    )
    n = np.maximum(n, 1.0)
    variance = np.maximum(squares / n - (total / n) ** 2, 0.0)
    # A mixture pays about 1.5 nats less than its best bet.
    guess = total / n + np.sqrt(2 * (threshold + 1.5) * variance / n) + 1 / n
    return np.asarray(np.clip(guess, -_EDGE, _EDGE))


def bernoulli_confidence_sequence(
    successes: int, n: int, alpha: float, t_opt: float, alpha_opt: float = 0.05
) -> Estimate | NotEstimable:
    """Return the confidence sequence of the probability of one arm, from a two-sided beta-binomial mixture.

    Args:
        successes: Units with the outcome.
        n: Units.
        alpha: Chance that the sequence ever misses the probability.
        t_opt: Number of units at which it is tightest; fixed in advance.
        alpha_opt: Error for which it is tightest there.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Howard, Ramdas, McAuliffe & Sekhon 2021, proposition 7; as in the library confseq.

    >>> found = bernoulli_confidence_sequence(700, 1000, 0.05, t_opt=100)
    >>> (round(found.value, 3), round(found.lower, 6), round(found.upper, 6))
    (0.7, 0.65163, 0.74595)
    """
    check_share(alpha, "alpha")
    check_count(successes, "successes", check_count(n, "n"))
    weight = _prior_weight(t_opt, alpha_opt)
    if n == 0:
        return NotEstimable("no observation yet")
    lower = _lower_probability(successes, n, alpha, weight)
    upper = 1 - _lower_probability(n - successes, n, alpha, weight)
    return Estimate(successes / n, lower, upper, 1 - alpha, n, _BERNOULLI_METHOD, _BERNOULLI_ASSUMPTIONS)


def log_e_bernoulli(
    successes: ArrayLike, n: ArrayLike, null: ArrayLike, t_opt: float, alpha_opt: float = 0.05
) -> Floats:
    """Return log evidence against "the probability is `null`", over arrays; both sides at once.

    A beta prior with mean `null` is mixed over, so its weight in units does not depend on the null.

    Args:
        successes: Units with the outcome; any shape.
        n: Units.
        null: Probability in (0, 1).
        t_opt: As in `bernoulli_confidence_sequence`.
        alpha_opt: As in `bernoulli_confidence_sequence`.

    Raises:
        ValueError: An argument is out of range.

    >>> round(float(log_e_bernoulli(700, 1000, 0.65, t_opt=100)), 3)
    3.345
    """
    wins, units, p = (np.asarray(x, dtype=np.float64) for x in (successes, n, null))
    if np.any((wins < 0) | (wins > units)):
        raise ValueError("successes must be between 0 and n")
    if np.any((p <= 0) | (p >= 1)):
        raise ValueError(f"null == {null!r}, must be in (0, 1)")
    return _log_e_beta(wins, units - wins, p, 1 - p, _prior_weight(t_opt, alpha_opt))


def _log_e_beta(wins: ArrayLike, losses: ArrayLike, p: ArrayLike, q: ArrayLike, weight: float) -> Floats:
    """Return the log e-value; p and q = 1 - p are both given, so that tiny ones keep their digits."""
    wins, losses, p, q = (np.asarray(x, dtype=np.float64) for x in (wins, losses, p, q))
    mixed = betaln(wins + weight * p, losses + weight * q) - betaln(weight * p, weight * q)
    return np.asarray(mixed - wins * np.log(p) - losses * np.log(q))


def _prior_weight(t_opt: float, alpha_opt: float) -> float:
    """Return the weight of the prior, in units, with which the mixture is tightest at `t_opt` units."""
    twice_log = -2 * math.log(check_share(alpha_opt, "alpha_opt"))
    return max(check_positive(t_opt, "t_opt") / (twice_log + math.log1p(twice_log)) - 1, 1e-3)


def _lower_probability(successes: int, n: int, alpha: float, weight: float) -> float:
    """Return the lowest probability that is not rejected."""

    def excess(p: float) -> float:
        return float(_log_e_beta(successes, n - successes, p, 1 - p, weight)) + math.log(alpha)

    if successes == 0 or excess(_SMALLEST) <= 0:
        return 0.0
    # At the very share that was seen the e-value is at most 1; with no failure, 1 itself is never rejected.
    seen = min(successes / n, math.nextafter(1.0, 0.0))
    return float(brentq(excess, _SMALLEST, seen, xtol=1e-15, rtol=1e-13))


def intersect(previous: Estimate | NotEstimable | None, current: Estimate | NotEstimable) -> Estimate | NotEstimable:
    """Return the running intersection: what no look has ruled out.

    An empty intersection means that the assumptions do not hold (the mean moved, or units depend on each other); it is
    reported as such, at this look and at all later ones, and never as a narrow interval.

    Args:
        previous: What this function returned at the look before; None at the first look.
        current: The confidence sequence at this look.

    >>> looks = [Estimate(0.1, 0.0, 0.2, 0.95, 10, "cs"), Estimate(0.3, 0.25, 0.35, 0.95, 99, "cs")]
    >>> intersect(intersect(None, looks[0]), looks[1])
    NotEstimable(reason='assumptions violated: the running intersection is empty')
    """
    if isinstance(previous, NotEstimable) and previous.reason == VIOLATED:
        return previous
    if isinstance(current, NotEstimable):
        return previous if isinstance(previous, Estimate) else current
    if previous is None or isinstance(previous, NotEstimable):
        return current
    lower, upper = max(previous.lower, current.lower), min(previous.upper, current.upper)
    if lower > upper:
        return NotEstimable(VIOLATED)
    return Estimate(current.value, lower, upper, current.level, current.n, current.method, current.assumptions)


def running_intersection(looks: Iterable[Estimate | NotEstimable]) -> Estimate | NotEstimable:
    """Return the running intersection over all looks, in their order."""
    found: Estimate | NotEstimable = NotEstimable("no look yet")
    for look in looks:
        found = intersect(found, look)
    return found
