"""Sample ratio mismatch: do the units come to the variants in the configured shares?

Asked twice: of the units that were *assigned* (does the router split as configured?) and of those that were *analysed*
(do outcomes get lost on one side, by time-outs or crashes?). Under a ramp each stage has its own shares and its own
evidence; stages multiply and are never pooled. A mismatch makes unpaired figures void. It blocks a promotion; it is no
evidence of harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln
from scipy.stats import chisquare

from analysis.checks import check_count, check_positive, check_share
from analysis.rendering import Rendered
from analysis.result import NotEstimable, TestResult

CONCENTRATION = 1_000.0
"""Prior weight of the configured split, in units: a compromise between small and large deviations."""


class StageCounts(NamedTuple):
    """Units of one stage of a ramp."""

    counts: tuple[int, ...]
    """Units per variant."""
    shares: tuple[float, ...]
    """Configured share per variant; they add up to 1."""


class StageSplit(NamedTuple):
    """What one stage says about the split."""

    counts: tuple[int, ...]
    """Units per variant."""
    expected: tuple[float, ...]
    """Units per variant, had the configured shares been met."""
    log_bayes_factor: float
    """Evidence of this stage alone."""
    residuals: tuple[float, ...]
    """(counts - expected) / standard deviation."""


@dataclass(frozen=True, slots=True)
class SplitTest(Rendered):
    """The sequential test of the split at one look."""

    log_bayes_factor: float
    """Evidence against the configured shares at this look, all stages."""
    peak_log_bayes_factor: float
    """Highest so far."""
    p_value: float
    """Anytime-valid, of all looks so far: min(1, 1 / peak)."""
    alarm: bool
    alpha: float
    n: int
    """Units."""
    stages: tuple[StageSplit, ...]
    excess: tuple[float, ...]
    """Units per variant above what the shares say, all stages; empty without a stage."""
    residuals: tuple[float, ...]
    """The same in standard deviations."""
    short_variant: int | None
    """Index of the variant that lacks most units, by its residual; None if every variant has exactly its share."""
    method: str = "sequential Dirichlet-multinomial test"
    assumptions: tuple[str, ...] = ("units come independently", "logged shares are those that were used")


@dataclass(frozen=True, slots=True)
class SplitTests(Rendered):
    """The split of the assigned and of the analysed units, and what is lost between the two."""

    assigned: SplitTest
    analysed: SplitTest
    completeness: tuple[float | NotEstimable, ...]
    """Analysed units per assigned unit, of each variant."""

    @property
    def alarm(self) -> bool:
        """Whether either test raises an alarm; they share the alpha."""
        return self.assigned.alarm or self.analysed.alarm


def srm_log_bayes_factor(stages: Sequence[StageCounts], concentration: float = CONCENTRATION) -> float:
    """Return log evidence against the configured shares, valid at every look; stages multiply, each from its start.

    Dirichlet-multinomial against multinomial (Lindon & Malek 2020/2022, "Anytime-valid inference for multinomial count
    data"). Alarm when it reaches log(1/alpha).

    Args:
        stages: Units and shares of each stage; without any, the evidence is 0.
        concentration: Prior weight of the configured shares, in units.

    Raises:
        ValueError: A count is negative, shares are not in (0, 1) or do not add up to 1, or the concentration is not
            above 0.

    >>> round(srm_log_bayes_factor([StageCounts((5200, 4800), (0.5, 0.5))], 100), 6)
    5.613613
    """
    check_positive(concentration, "concentration")
    return math.fsum(_log_bayes_factor(_check_stage(stage), concentration) for stage in stages)


def srm_test(
    stages: Sequence[StageCounts],
    alpha: float = 0.001,
    peak_log_bayes_factor: float = 0.0,
    concentration: float = CONCENTRATION,
) -> SplitTest:
    """Return the sequential test of the split with where it drifts: which stage, which variant, by how many units.

    Args:
        stages: Units and shares of each stage; of the analysed units, only of those whose outcome is due: a slower
            variant's outcomes come later and are not missing.
        alpha: Chance of ever raising a false alarm.
        peak_log_bayes_factor: Highest evidence at earlier looks.
        concentration: Prior weight of the configured shares, in units.

    Raises:
        ValueError: As `srm_log_bayes_factor`, stages differ in their number of variants, or `alpha` is not in (0, 1).

    >>> found = srm_test([StageCounts((910, 90), (0.9, 0.1)), StageCounts((650, 350), (0.5, 0.5))])
    >>> found.alarm, found.short_variant, [round(units) for units in found.excess]
    (True, 1, [160, -160])
    >>> [stage.log_bayes_factor > 5 for stage in found.stages]
    [False, True]
    """
    check_share(alpha, "alpha")
    check_positive(concentration, "concentration")
    splits = tuple(_stage_split(_check_stage(stage), concentration) for stage in stages)
    log_bf = math.fsum(split.log_bayes_factor for split in splits)
    peak = max(0.0, peak_log_bayes_factor, log_bf)
    excess, residuals = _drift(stages)
    lowest = min(residuals, default=0.0)
    return SplitTest(
        log_bayes_factor=log_bf,
        peak_log_bayes_factor=peak,
        p_value=min(1.0, math.exp(-peak)),
        alarm=peak >= -math.log(alpha),
        alpha=alpha,
        n=sum(sum(stage.counts) for stage in stages),
        stages=splits,
        excess=excess,
        residuals=residuals,
        short_variant=residuals.index(lowest) if lowest < 0 else None,
    )


def srm_tests(
    assigned: Sequence[StageCounts],
    analysed: Sequence[StageCounts],
    alpha: float = 0.001,
    peaks: tuple[float, float] = (0.0, 0.0),
    concentration: float = CONCENTRATION,
) -> SplitTests:
    """Return the tests of the assigned and the analysed units, at half of alpha each.

    Args:
        assigned: Units by the variant that they were assigned to.
        analysed: Those of them whose outcome is due and present; a failure is an outcome.
        alpha: Chance that either ever raises a false alarm.
        peaks: Highest evidence of either at earlier looks.
        concentration: Prior weight of the configured shares, in units.

    Raises:
        ValueError: As `srm_test`.

    >>> stage = StageCounts((5000, 5000), (0.5, 0.5))
    >>> found = srm_tests([stage], [stage._replace(counts=(4900, 4400))])
    >>> found.assigned.alarm, found.analysed.alarm, found.analysed.short_variant, found.completeness
    (False, True, 1, (0.98, 0.88))
    """
    tests = [
        srm_test(stages, alpha / 2, peak, concentration)
        for stages, peak in zip((assigned, analysed), peaks, strict=True)
    ]
    due, present = _units(assigned), _units(analysed)
    present = present or (0,) * len(due)
    completeness = tuple(
        found / units if units else NotEstimable("no unit has been assigned yet")
        for found, units in zip(present, due, strict=True)
    )
    return SplitTests(tests[0], tests[1], completeness)


def srm_chi2(counts: Sequence[int], shares: Sequence[float]) -> TestResult | NotEstimable:
    """Return the chi-square test of the shares: for a report at a fixed size, never for monitoring.

    Args:
        counts: Units per variant.
        shares: Configured shares; weights like 1 : 1 will do.

    Raises:
        ValueError: A count is negative, a share is not above 0, or their numbers differ.

    >>> found = srm_chi2([821588, 815482], [0.5, 0.5])
    >>> (round(found.statistic, 3), round(found.p_value, 8))
    (22.774, 1.82e-06)
    """
    if len(counts) != len(shares):
        raise ValueError(f"len(shares) == {len(shares)!r}, must be {len(counts)}, one per variant")
    counts, shares = np.asarray(counts).tolist(), np.asarray(shares).tolist()
    for count, share in zip(counts, shares, strict=True):
        check_count(count, "count")
        check_positive(share, "share")
    total, weight = sum(counts), sum(shares)
    if total == 0 or len(counts) < 2:
        return NotEstimable(f"{total} units in {len(counts)} variants, a split needs units and two variants")
    statistic, p_value = chisquare(counts, [total * share / weight for share in shares])
    return TestResult(float(statistic), float(p_value), total, "chi-square goodness of fit", ("one look",))


def _check_stage(stage: StageCounts) -> StageCounts:
    if len(stage.counts) != len(stage.shares):
        raise ValueError(f"shares == {stage.shares!r}, must be one per variant, of which there are {len(stage.counts)}")
    for count, share in zip(stage.counts, stage.shares, strict=True):
        check_count(count, "count")
        check_share(share, "share")
    if abs(math.fsum(stage.shares) - 1) > 1e-6:
        raise ValueError(f"shares == {stage.shares!r}, must add up to 1")
    return stage


def _log_bayes_factor(stage: StageCounts, concentration: float) -> float:
    alternative = gammaln(concentration) - gammaln(concentration + sum(stage.counts))
    for count, share in zip(stage.counts, stage.shares, strict=True):
        prior = concentration * share
        alternative += gammaln(prior + count) - gammaln(prior) - count * math.log(share)
    return float(alternative)


def _stage_split(stage: StageCounts, concentration: float) -> StageSplit:
    excess, residuals = _drift([stage])
    expected = tuple(count - over for count, over in zip(stage.counts, excess, strict=True))
    return StageSplit(stage.counts, expected, _log_bayes_factor(stage, concentration), residuals)


def _drift(stages: Sequence[StageCounts]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each variant's units above its share, and the same in standard deviations, summed over stages."""
    if not stages:
        return (), ()
    if len({len(stage.counts) for stage in stages}) > 1:
        raise ValueError(f"stages == {list(stages)!r}, must all have the same variants")
    counts = np.array([stage.counts for stage in stages], dtype=np.float64)
    shares = np.array([stage.shares for stage in stages], dtype=np.float64)
    units = counts.sum(axis=1, keepdims=True)
    excess = (counts - units * shares).sum(axis=0)
    spread = np.sqrt((units * shares * (1 - shares)).sum(axis=0))
    residuals = np.divide(excess, spread, out=np.zeros_like(excess), where=spread > 0)
    return tuple(excess.tolist()), tuple(residuals.tolist())


def _units(stages: Sequence[StageCounts]) -> tuple[int, ...]:
    return tuple(sum(counts) for counts in zip(*(stage.counts for stage in stages), strict=True))
