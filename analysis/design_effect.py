"""What many requests per user do to an analysis that counts requests.

Requests of one user resemble each other, so N of them tell no more than N / (design effect) independent ones. A test
that counts requests takes its standard error too small by the root of the design effect, and errs more often than it
says. The cure is to count users (`analysis.samples`); these figures show why, in the data at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from analysis.checks import check_share
from analysis.grouping import Ids, Ints, group
from analysis.rendering import Rendered
from analysis.result import NotEstimable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DesignEffect(Rendered):
    """How far requests are from being independent."""

    design_effect: float
    """Variance of the mean over what it were with independent requests; 1 if users do not matter."""
    intraclass_correlation: float | None
    """Of two requests of the same unit; may be below 0; None if no unit has two."""
    effective_n: float
    """Independent requests that would tell as much."""
    naive_standard_error: float
    """Of the mean over requests, as if they were independent."""
    robust_standard_error: float
    """Of the same mean, with units as the independent observations."""
    request_level_error: float
    """How often a two-sided test errs that counts requests, at a nominal `alpha`."""
    alpha: float
    requests: int
    n: int
    """Units."""
    largest_unit_share: float
    """Share of all requests that comes from the busiest unit."""
    method: str = "cluster-robust variance over naive variance; ANOVA estimate of the correlation"
    assumptions: tuple[str, ...] = ("independent units", "many units")


def design_effect(units: Ids, values: ArrayLike, alpha: float = 0.05) -> DesignEffect | NotEstimable:
    """Return the design effect of requests within units.

    Args:
        units: Unit of each request, integers or strings, shape (requests,).
        values: Outcome of each request, shape (requests,).
        alpha: Nominal level of the test that counts requests.

    Raises:
        ValueError: Shapes differ, a value is not finite, or `alpha` is not in (0, 1).

    Source:
        Kish 1965, Survey Sampling; Donner & Klar 2000 for the intraclass correlation with units of unequal size; Deng,
        Knoblich & Lu 2018 for the variance.

    >>> found = design_effect(np.repeat([1, 2, 3, 4], 3), [1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1])
    >>> round(found.design_effect, 2), round(found.intraclass_correlation, 2), round(found.effective_n, 1)
    (2.04, 0.44, 5.9)
    """
    check_share(alpha, "alpha")
    groups = group(units, "units")
    array = np.asarray(values, dtype=np.float64)
    if array.shape != groups.order.shape:
        raise ValueError(f"values.shape == {array.shape!r}, must be that of units, {groups.order.shape!r}")
    if not np.all(np.isfinite(array)):
        raise ValueError("values hold NaN or infinity, must be finite: say first what a missing outcome counts as")
    k, total = len(groups.starts), len(array)
    if k < 2:
        return NotEstimable(f"{k} unit, a variance between units needs at least 2")
    sizes = groups.sizes
    if array.min() == array.max():
        return NotEstimable("all outcomes are equal, there is no variance to compare")
    deviations = array - array.mean()
    squares = float(deviations @ deviations)
    sums = np.add.reduceat(deviations[groups.order], groups.starts)
    robust = k / (k - 1) * float(sums @ sums) / total**2
    naive = squares / ((total - 1) * total)
    effect = robust / naive
    return DesignEffect(
        design_effect=effect,
        intraclass_correlation=_intraclass_correlation(sums, sizes, squares),
        effective_n=total / effect if effect > 0 else math.inf,
        naive_standard_error=math.sqrt(naive),
        robust_standard_error=math.sqrt(robust),
        request_level_error=float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(effect))) if effect > 0 else 0.0,
        alpha=alpha,
        requests=total,
        n=k,
        largest_unit_share=float(sizes.max() / total),
    )


def _intraclass_correlation(sums: Floats, sizes: Ints, squares: float) -> float | None:
    """Return the one-way ANOVA estimate, from each unit's summed deviations from the overall mean."""
    k, total = len(sizes), int(sizes.sum())
    if total == k:
        return None
    between = float((sums**2 / sizes).sum())
    mean_between, mean_within = between / (k - 1), max(0.0, squares - between) / (total - k)
    # The size of units that counts, if sizes differ.
    size = (total - float((sizes**2).sum()) / total) / (k - 1)
    # With hardly two requests a unit, the estimate can leave the range of a correlation at its lower end.
    return max(-1.0, (mean_between - mean_within) / (mean_between + (size - 1) * mean_within))
