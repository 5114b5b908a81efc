"""Sample ratio mismatch: do the units come to the variants in the configured shares?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.special import gammaln
from scipy.stats import chisquare

from analysis.checks import check_count, check_positive, check_share
from analysis.result import TestResult

CONCENTRATION = 1_000.0
"""Prior weight of the configured split, in units: a compromise between small and large deviations."""


class StageCounts(NamedTuple):
    """Units of one stage of a ramp."""

    counts: tuple[int, ...]
    """Units per variant."""
    shares: tuple[float, ...]
    """Configured share per variant; they add up to 1."""


def srm_log_bayes_factor(stages: Sequence[StageCounts], concentration: float = CONCENTRATION) -> float:
    """Return log evidence against the configured shares, valid at every look; stages multiply, each from its start.

    Dirichlet-multinomial against multinomial (Lindon & Malek 2020/2022, "Anytime-valid inference for multinomial count
    data"). Alarm when it reaches log(1/alpha).

    Raises:
        ValueError: A count is negative, a share is not in (0, 1), or the concentration is not above 0.

    >>> round(srm_log_bayes_factor([StageCounts((5200, 4800), (0.5, 0.5))], 100), 6)
    5.613613
    """
    check_positive(concentration, "concentration")
    return math.fsum(_log_bayes_factor(stage, concentration) for stage in stages)


def _log_bayes_factor(stage: StageCounts, concentration: float) -> float:
    for count, share in zip(stage.counts, stage.shares, strict=True):
        check_count(count, "count")
        check_share(share, "share")
    n = sum(stage.counts)
    alternative = gammaln(concentration) - gammaln(concentration + n)
    for count, share in zip(stage.counts, stage.shares, strict=True):
        prior = concentration * share
        alternative += gammaln(prior + count) - gammaln(prior) - count * math.log(share)
    return float(alternative)


def srm_chi2(counts: Sequence[int], shares: Sequence[float]) -> TestResult:
    """Return the chi-square test of the shares: for a report at a fixed size, never for monitoring.

    >>> found = srm_chi2([821588, 815482], [0.5, 0.5])
    >>> (round(found.statistic, 3), round(found.p_value, 8))
    (22.774, 1.82e-06)
    """
    total, weight = sum(counts), sum(shares)
    statistic, p_value = chisquare(counts, [total * share / weight for share in shares])
    return TestResult(float(statistic), float(p_value), total, "chi-square goodness of fit", ("one look",))
