"""The confidence sequence of a bounded mean, by inverting the betting e-processes: an interval valid at every look."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq

from analysis.checks import check_share
from analysis.eprocess import DifferenceCounts, log_e_harm, log_e_noninferior
from analysis.result import Estimate, NotEstimable

_EDGE = 1 - 1e-9
_METHOD = "betting confidence sequence"
_ASSUMPTIONS = ("one independent unit per observation", "constant conditional mean")


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
    check_share(alpha, "alpha")
    if state.n == 0:
        return NotEstimable("no observation yet")
    threshold, mean = math.log(2 / alpha), state.mean
    # log_e_harm rises with m: means far above the data are rejected. log_e_noninferior falls with m.
    upper = _crossing(lambda m: log_e_harm(state, m) - threshold, mean, _EDGE, 1.0)
    lower = _crossing(lambda m: log_e_noninferior(state, m) - threshold, mean, -_EDGE, -1.0)
    return Estimate(mean, lower, upper, 1 - alpha, state.n, _METHOD, _ASSUMPTIONS)


def _crossing(excess: Callable[[float], float], start: float, edge: float, bound: float) -> float:
    """Return where `excess` turns positive between `start` and `edge`; the bound if it does not."""
    start = max(-_EDGE, min(_EDGE, start))
    if start == edge or excess(edge) <= 0:
        return bound
    if excess(start) >= 0:
        return start
    return float(brentq(excess, start, edge, xtol=1e-12))


def intersect(previous: Estimate | None, current: Estimate | NotEstimable) -> Estimate | NotEstimable:
    """Return the running intersection: what no look has ruled out.

    An empty intersection means that the assumptions do not hold (the mean moved, or units depend on each other); it is
    reported as such and never as a narrow interval.
    """
    if previous is None or isinstance(current, NotEstimable):
        return current
    lower, upper = max(previous.lower, current.lower), min(previous.upper, current.upper)
    if lower > upper:
        return NotEstimable("assumptions violated: the running intersection is empty")
    return Estimate(current.value, lower, upper, current.level, current.n, current.method, current.assumptions)
