"""Proportions over strata, such as stages of a ramp by day: Mantel-Haenszel.

Never pool over stages in which the arms' shares differ: the base rate of the day then passes for an effect of the arm
(Simpson's paradox; Crook, Frasca, Kohavi & Longbotham 2009). Within a stage both arms saw the same days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import StratifiedTable

from analysis.checks import check_count
from analysis.comparison import Alternative, Comparison, Measurement, compare, no_variance
from analysis.result import NotEstimable, TestResult

_ASSUMPTIONS = ("independent units", "one stratum per unit: that of its first exposure", "one look")


@dataclass(frozen=True, slots=True)
class Stratum:
    """Events and units of both arms in one stratum; an arm may be empty, and the stratum then tells nothing."""

    x_treatment: int
    n_treatment: int
    x_control: int
    n_control: int

    def __post_init__(self) -> None:
        check_count(self.x_treatment, "x_treatment", most=check_count(self.n_treatment, "n_treatment"))
        check_count(self.x_control, "x_control", most=check_count(self.n_control, "n_control"))


class MantelHaenszel(NamedTuple):
    """The difference within strata, and what pooling would have claimed."""

    difference: Comparison
    """Treatment - control, weighted by n_treatment n_control / n."""
    stratum_differences: tuple[float | None, ...]
    """None where an arm is empty."""
    pooled_difference: float
    """Shown beside it as a warning; it mixes the effect with the drift between strata."""


def mantel_haenszel_difference(
    strata: Sequence[Stratum], *, null: float = 0.0, alternative: Alternative = "two-sided", level: float = 0.95
) -> MantelHaenszel | NotEstimable:
    """Return the difference of two rates within strata, treatment - control.

    Args:
        strata: Counts by stratum.
        null: The difference to test.
        alternative: Which side to look at.
        level: Confidence.

    Raises:
        ValueError: `level` or `alternative` is out of range.

    Source:
        Mantel & Haenszel 1959; variance by Sato 1989, Biometrics 45:1323-1324, right for many small strata and for few
        large ones.

    >>> stages = [Stratum(230, 10_000, 20_000, 990_000), Stratum(6_000, 500_000, 5_000, 500_000)]
    >>> found = mantel_haenszel_difference(stages)
    >>> (round(found.pooled_difference, 5), round(found.difference.value, 5), round(found.difference.lower, 5))
    (-0.00456, 0.00203, 0.00162)
    """
    x1, n1, x2, n2 = _columns(strata)
    informative = (n1 > 0) & (n2 > 0)
    if not informative.any():
        return NotEstimable("no stratum has units of both arms")
    value, variance = _sato(*(column[informative] for column in (x1, n1, x2, n2)))
    if variance <= 0:
        return no_variance("the outcomes within strata")
    n = int((n1 + n2)[informative].sum())
    measured = Measurement(value, math.sqrt(variance), n, "Mantel-Haenszel risk difference", _ASSUMPTIONS)
    return MantelHaenszel(
        difference=compare(measured, null=null, alternative=alternative, level=level),
        stratum_differences=tuple(
            float(x1[i] / n1[i] - x2[i] / n2[i]) if informative[i] else None for i in range(len(strata))
        ),
        pooled_difference=float(x1.sum() / n1.sum() - x2.sum() / n2.sum()),
    )


Column = NDArray[np.float64]


def _sato(x1: Column, n1: Column, x2: Column, n2: Column) -> tuple[float, float]:
    """Return the weighted difference and its variance."""
    n = n1 + n2
    weight = float((n1 * n2 / n).sum())
    value = float(((x1 * n2 - x2 * n1) / n).sum()) / weight
    p = (n1**2 * x2 - n2**2 * x1 + n1 * n2 * (n2 - n1) / 2) / n**2
    q = (x1 * (n2 - x2) + x2 * (n1 - x1)) / (2 * n)
    return value, (value * float(p.sum()) + float(q.sum())) / weight**2


def cochran_mantel_haenszel(strata: Sequence[Stratum]) -> TestResult | NotEstimable:
    """Return the two-sided test of "within strata the arms have equal rates", without continuity correction.

    Args:
        strata: Counts by stratum. One without event, or with events only, tells nothing about equality.

    Source:
        Cochran 1954; Mantel & Haenszel 1959; computed by statsmodels.

    >>> strata = [Stratum(21, 464, 26, 453), Stratum(11, 165, 25, 174), Stratum(8, 69, 11, 70)]
    >>> found = cochran_mantel_haenszel(strata)
    >>> (round(found.statistic, 4), round(found.p_value, 4))
    (4.9358, 0.0263)
    """
    x1, n1, x2, n2 = _columns(strata)
    both = (n1 > 0) & (n2 > 0)
    if not both.any():
        return NotEstimable("no stratum has units of both arms")
    n, method = int((n1 + n2)[both].sum()), "Cochran-Mantel-Haenszel"
    telling = both & (x1 + x2 > 0) & (x1 + x2 < n1 + n2)
    if not telling.any():
        return TestResult(0.0, 1.0, n, method, (*_ASSUMPTIONS, "no stratum with both outcomes"))
    cells = np.stack([x1, n1 - x1, x2, n2 - x2])[:, telling]
    found = StratifiedTable(cells.reshape(2, 2, -1)).test_null_odds(correction=False)
    return TestResult(float(found.statistic), float(found.pvalue), n, method, _ASSUMPTIONS)


def _columns(strata: Sequence[Stratum]) -> tuple[Column, Column, Column, Column]:
    table = np.array([(s.x_treatment, s.n_treatment, s.x_control, s.n_control) for s in strata], dtype=np.float64)
    x1, n1, x2, n2 = table.reshape(-1, 4).T
    return x1, n1, x2, n2
