"""Roots of many increasing functions at once: Newton's method kept within a bracket, each root on its own.

Which other functions are solved beside it does not change a bit of a root, unlike with solvers that stop all together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Evaluate = Callable[[NDArray[np.intp], Floats], tuple[Floats, Floats]]
"""(which functions, where) -> (values, slopes)."""

_MOST_STEPS = 200
_TOLERANCE = 1e-13


def increasing_roots(evaluate: Evaluate, starts: Floats, low: Floats, high: Floats) -> Floats:
    """Return where each function crosses zero between `low` and `high`.

    A function that is positive on all of the bracket gives `low`, one that is negative gives `high`: callers decide
    what that means. Where a Newton step leaves the bracket, the bracket is halved.

    Args:
        evaluate: The functions, increasing.
        starts: First guesses, shape (functions,), inside the brackets.
        low: Lower ends.
        high: Upper ends.

    >>> cubes = lambda which, at: (at**3 - np.array([8.0, 27.0])[which], 3 * at**2)
    >>> increasing_roots(cubes, np.ones(2), np.zeros(2), np.full(2, 9.0)).tolist()
    [2.0, 3.0]
    """
    at, low, high = starts.copy(), low.copy(), high.copy()
    active = np.arange(len(at))
    for _ in range(_MOST_STEPS):
        if active.size == 0:
            break
        here = at[active]
        excess, slope = evaluate(active, here)
        below = excess < 0
        low[active[below]], high[active[~below]] = here[below], here[~below]
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = here - excess / slope
        inside = (newton >= low[active]) & (newton <= high[active])
        following = np.where(inside, newton, (low[active] + high[active]) / 2)
        at[active] = following
        active = active[np.abs(following - here) > _TOLERANCE * np.maximum(1.0, np.abs(here))]
    return at
