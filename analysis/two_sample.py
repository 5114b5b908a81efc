"""Two independent samples at a fixed size, for reports."""

from __future__ import annotations

from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.checks import check_count, check_share
from analysis.result import Estimate, NotEstimable


def newcombe_interval(x1: int, n1: int, x2: int, n2: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Newcombe's hybrid score interval of p1 - p2: good at any size, in closed form.

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample.
        x2: Events of the second sample.
        n2: Size of the second sample.
        level: Confidence.

    Raises:
        ValueError: Negative counts, or more events than the sample's size.

    Source:
        Newcombe 1998, Statistics in Medicine 17:873-890, method 10; computed by statsmodels.

    >>> found = newcombe_interval(56, 70, 48, 80)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (0.0524, 0.3339)
    """
    check_count(x1, "x1", most=n1)
    check_count(x2, "x2", most=n2)
    check_share(level, "level")
    if n1 == 0 or n2 == 0:
        return NotEstimable("one of the samples is empty")
    lower, upper = confint_proportions_2indep(x1, n1, x2, n2, method="newcomb", compare="diff", alpha=1 - level)
    return Estimate(
        x1 / n1 - x2 / n2, float(lower), float(upper), level, n1 + n2, "Newcombe hybrid score", ("one look",)
    )
