"""Two independent proportions at a fixed size, for reports: intervals, non-inferiority and equivalence of p1 - p2.

Three answers to one question. Newcombe's interval is for display: closed form, good at any size. The Farrington-Manning
test and Mee's interval are each other's mirror image; Miettinen and Nurminen's is Mee's with the variance scaled by
N / (N - 1). None of statsmodels' score functions is used: see `analysis.restricted_rates`.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.checks import check_null_mean, check_share
from analysis.comparison import Alternative, Equivalence, check_alternative, check_bounds
from analysis.restricted_rates import check_samples, restricted_rates
from analysis.result import Estimate, NotEstimable, TestResult

_ASSUMPTIONS = ("independent units", "one look")
_EMPTY = NotEstimable("one of the samples is empty")


def newcombe_interval(x1: int, n1: int, x2: int, n2: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Newcombe's hybrid score interval of p1 - p2: good at any size, in closed form.

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample.
        x2: Events of the second sample.
        n2: Size of the second sample.
        level: Confidence.

    Raises:
        ValueError: Negative counts, more events than the sample's size, or `level` out of range.

    Source:
        Newcombe 1998, Statistics in Medicine 17:873-890, method 10; computed by statsmodels.

    >>> found = newcombe_interval(56, 70, 48, 80)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (0.0524, 0.3339)
    """
    check_samples(x1, n1, x2, n2)
    check_share(level, "level")
    if n1 == 0 or n2 == 0:
        return _EMPTY
    lower, upper = confint_proportions_2indep(x1, n1, x2, n2, method="newcomb", compare="diff", alpha=1 - level)
    return Estimate(
        x1 / n1 - x2 / n2, float(lower), float(upper), level, n1 + n2, "Newcombe hybrid score", ("one look",)
    )


def score_statistic(x1: int, n1: int, x2: int, n2: int, null_difference: float, *, small_sample: bool = False) -> float:
    """Return the score statistic z of "p1 - p2 is `null_difference`": it falls as the null difference rises.

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample, at least 1.
        x2: Events of the second sample.
        n2: Size of the second sample, at least 1.
        null_difference: In (-1, 1).
        small_sample: Scale the variance by N / (N - 1), as Miettinen & Nurminen do; Farrington & Manning do not.

    Raises:
        ValueError: As `restricted_rates`.

    >>> round(score_statistic(20, 35, 30, 55, -0.3), 4)
    3.1546
    """
    q1, q2 = restricted_rates(x1, n1, x2, n2, null_difference)
    variance = q1 * (1 - q1) / n1 + q2 * (1 - q2) / n2
    if small_sample:
        variance *= (n1 + n2) / (n1 + n2 - 1)
    # A variance of 0 needs no event, or only events, in both samples, and the null difference 0: nothing differs.
    return (x1 / n1 - x2 / n2 - null_difference) / math.sqrt(variance) if variance > 0 else 0.0


def farrington_manning(
    x1: int, n1: int, x2: int, n2: int, null_difference: float, alternative: Alternative = "two-sided"
) -> TestResult | NotEstimable:
    """Return the Farrington-Manning score test of "p1 - p2 is `null_difference`".

    Its null differences that are not rejected at alpha are Mee's interval at level 1 - alpha (1 - 2 alpha, one-sided).

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample.
        x2: Events of the second sample.
        n2: Size of the second sample.
        null_difference: In (-1, 1).
        alternative: "greater" looks for p1 - p2 above the null difference: non-inferiority of a success rate.

    Raises:
        ValueError: Bad counts, `null_difference` out of range, or an unknown alternative.

    Source:
        Farrington & Manning 1990, Statistics in Medicine 9:1447-1454.

    >>> round(farrington_manning(20, 35, 30, 55, -0.3, "greater").p_value, 7)
    0.0008037
    """
    check_samples(x1, n1, x2, n2)
    check_null_mean(null_difference, "null_difference")
    check_alternative(alternative)
    if n1 == 0 or n2 == 0:
        return _EMPTY
    z = score_statistic(x1, n1, x2, n2, null_difference)
    tails = {"two-sided": 2 * norm.sf(abs(z)), "greater": norm.sf(z), "less": norm.cdf(z)}
    return TestResult(z, float(tails[alternative]), n1 + n2, "Farrington-Manning score test", _ASSUMPTIONS)


def farrington_manning_noninferiority(x1: int, n1: int, x2: int, n2: int, margin: float) -> TestResult | NotEstimable:
    """Return the one-sided test of "the first success rate is lower than the second by `margin` or more".

    Args:
        x1: Successes of the treatment. Of bad events, count the units without one.
        n1: Units of the treatment.
        x2: Successes of the control.
        n2: Units of the control.
        margin: In (0, 1), fixed before the data.

    Raises:
        ValueError: Bad counts, or `margin` out of range.

    >>> round(farrington_manning_noninferiority(83, 88, 69, 76, 0.1).p_value, 6)
    0.001552
    """
    return farrington_manning(x1, n1, x2, n2, -check_share(margin, "margin"), "greater")


def mee_interval(x1: int, n1: int, x2: int, n2: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Mee's score interval of p1 - p2: the differences that the Farrington-Manning test does not reject.

    Raises:
        ValueError: Bad counts, or `level` out of range.

    Source:
        Mee 1984, Biometrics 40:1175-1176.

    >>> found = mee_interval(7, 25, 2, 25)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.0144, 0.4124)
    """
    return _score_interval(x1, n1, x2, n2, level, small_sample=False)


def miettinen_nurminen_interval(x1: int, n1: int, x2: int, n2: int, level: float = 0.95) -> Estimate | NotEstimable:
    """Return Miettinen and Nurminen's score interval of p1 - p2: Mee's, a little wider in small samples.

    Raises:
        ValueError: Bad counts, or `level` out of range.

    Source:
        Miettinen & Nurminen 1985, Statistics in Medicine 4:213-226.

    >>> found = miettinen_nurminen_interval(5, 56, 0, 29)
    >>> (round(found.lower, 4), round(found.upper, 4))
    (-0.0326, 0.1933)
    """
    return _score_interval(x1, n1, x2, n2, level, small_sample=True)


def _score_interval(x1: int, n1: int, x2: int, n2: int, level: float, *, small_sample: bool) -> Estimate | NotEstimable:
    check_samples(x1, n1, x2, n2)
    check_share(level, "level")
    if n1 == 0 or n2 == 0:
        return _EMPTY
    estimate, reach = x1 / n1 - x2 / n2, float(norm.isf((1 - level) / 2))

    def end(edge: float) -> float:
        """Return where z leaves [-reach, reach] between the estimate, where it is 0, and an edge."""
        inner = edge * (1 - 1e-12)
        start = min(max(estimate, -abs(inner)), abs(inner))
        if start == inner:
            return edge

        def excess(d: float) -> float:
            return edge * score_statistic(x1, n1, x2, n2, d, small_sample=small_sample) + reach

        return edge if excess(inner) > 0 else float(brentq(excess, start, inner, xtol=1e-15, rtol=1e-13))

    method = "Miettinen-Nurminen score interval" if small_sample else "Mee score interval"
    return Estimate(estimate, end(-1.0), end(1.0), level, n1 + n2, method, _ASSUMPTIONS)


def equivalence_proportions(
    x1: int, n1: int, x2: int, n2: int, margin: float, alpha: float = 0.05
) -> Equivalence | NotEstimable:
    """Return the two one-sided Farrington-Manning tests of "the rates differ by `margin` or more".

    Args:
        x1: Events of the first sample.
        n1: Size of the first sample.
        x2: Events of the second sample.
        n2: Size of the second sample.
        margin: In (0, 1), fixed before the data.
        alpha: Error of each test; the interval is Mee's at level 1 - 2 alpha.

    Raises:
        ValueError: Bad counts, `margin` or `alpha` out of range.

    Source:
        Schuirmann 1987, with the score test of Farrington & Manning 1990.

    >>> round(equivalence_proportions(430, 500, 425, 500, 0.05).p_value, 4)
    0.037
    """
    check_share(margin, "margin")
    check_bounds(-margin, margin, alpha)
    interval = mee_interval(x1, n1, x2, n2, 1 - 2 * alpha)
    if isinstance(interval, NotEstimable):
        return interval
    low, high = (score_statistic(x1, n1, x2, n2, bound) for bound in (-margin, margin))
    return Equivalence(
        value=interval.value,
        lower=interval.lower,
        upper=interval.upper,
        level=interval.level,
        low=-margin,
        high=margin,
        statistic_low=low,
        statistic_high=high,
        p_low=float(norm.sf(low)),
        p_high=float(norm.cdf(high)),
        n=n1 + n2,
        method="two one-sided Farrington-Manning tests",
        assumptions=_ASSUMPTIONS,
    )
