"""Slices of the traffic (languages, dialects, customers): harmed, safe, or not enough data to tell.

A slice is never "safe" for lack of evidence of harm: that needs its own non-inferiority. What small slices cannot show
is said in numbers: the smallest harm that so many units would have shown. Alarms use each slice's own data; shrinkage
towards the common mean is for estimates only, since it hides the one bad dialect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from analysis.betting import Floats
from analysis.checks import check_positive, check_share
from analysis.eprocess import DifferenceCounts, log_e_many
from analysis.forecast import minimum_detectable_harms
from analysis.rendering import Rendered
from analysis.result import NotEstimable

_POWER = 0.8


class SliceStatus(StrEnum):
    """What is known of a slice."""

    HARM = "harm"
    """A loss beyond the tolerance."""
    SAFE = "safe"
    """A loss of the slice's margin is ruled out."""
    INSUFFICIENT = "insufficient"
    """Neither. It blocks a promotion unless explicitly waived, and is never shown as good."""


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """How a slice is judged; fixed before its data."""

    margin: float
    """Loss to rule out, in (0, 1)."""
    tolerance: float
    """Loss that is accepted before it is harm, above 0 and at most the margin."""
    weight: float
    """Share of the rollback alpha, in (0, 1]."""

    def __post_init__(self) -> None:
        check_share(self.margin, "margin")
        check_positive(self.tolerance, "tolerance")
        if self.tolerance > self.margin:
            raise ValueError(f"tolerance == {self.tolerance!r}, must be <= margin == {self.margin!r}")
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight == {self.weight!r}, must be in (0, 1]")


@dataclass(frozen=True, slots=True)
class SliceReport(Rendered):
    """A slice's status with what it rests on."""

    name: str
    status: SliceStatus
    reason: str
    value: float | None
    """Mean difference, unshrunk; None without a unit."""
    n: int
    """Units."""
    log_e_harm: float
    """Highest so far, before weighting."""
    log_e_safe: float
    """Highest so far."""
    minimum_detectable_harm: float | NotEstimable
    """The smallest loss that so many units show with 80 % power, at the slice's own level."""
    method: str = "weighted e-Bonferroni"
    assumptions: tuple[str, ...] = ("one independent unit per observation", "slices and weights fixed before the data")


@dataclass(frozen=True, slots=True)
class Shrinkage(Rendered):
    """Empirical-Bayes estimates of slices: for display only, never for an alarm."""

    shrunk: tuple[float, ...]
    """Estimates drawn to the common mean."""
    shrunk_standard_errors: tuple[float, ...]
    """Their posterior standard deviations, with the variance between slices taken as known."""
    mean: float
    """Common mean."""
    standard_error: float
    """Of the common mean."""
    variance_between: float
    """tau^2, between slices; 0 if they differ by no more than chance."""
    heterogeneity: float
    """Cochran's Q; about the number of slices less 1 if they do not differ."""
    n: int
    """Slices."""
    method: str = "DerSimonian-Laird, normal-normal"
    assumptions: tuple[str, ...] = ("independent slices", "approximately normal estimates", "known standard errors")


def slice_status(
    log_e_harm: float, log_e_safe: float, weight: float, alpha_harm: float, alpha_safe: float
) -> SliceStatus:
    """Return a slice's status from its highest e-values so far; harm comes first.

    Args:
        log_e_harm: Log evidence against "the loss is within the tolerance".
        log_e_safe: Log evidence against "the loss is the margin or more".
        weight: Share of `alpha_harm`, in (0, 1].
        alpha_harm: Family-wise level of a rollback.
        alpha_safe: Level of a promotion; all protected slices must be safe, so no correction is due.

    Raises:
        ValueError: A level or the weight is out of range.

    >>> slice_status(5.0, 0.0, 0.5, 0.05, 0.025).value, slice_status(5.0, 0.0, 0.1, 0.05, 0.025).value
    ('harm', 'insufficient')
    """
    if not 0 < weight <= 1:
        raise ValueError(f"weight == {weight!r}, must be in (0, 1]")
    if log_e_harm + math.log(weight) >= -math.log(check_share(alpha_harm, "alpha_harm")):
        return SliceStatus.HARM
    if log_e_safe >= -math.log(check_share(alpha_safe, "alpha_safe")):
        return SliceStatus.SAFE
    return SliceStatus.INSUFFICIENT


def slice_reports(
    states: Mapping[str, DifferenceCounts],
    plans: Mapping[str, SlicePlan],
    alpha_harm: float,
    alpha_safe: float,
    peaks: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[SliceReport, ...]:
    """Return the report of every slice that has a plan, in the order of the plans; without data it is insufficient.

    Args:
        states: Differences of each slice.
        plans: How each slice is judged; their weights add up to 1 at most.
        alpha_harm: Family-wise level of a rollback.
        alpha_safe: Level of a promotion.
        peaks: Highest (log_e_harm, log_e_safe) of each slice at earlier looks: a crossing is sticky.

    Raises:
        ValueError: A level is out of range, the weights add up to more than 1, or a state has no plan.

    >>> states = {"de": DifferenceCounts.from_ltw(60, 240, 0), "fr": DifferenceCounts.from_ltw(1, 30, 1)}
    >>> plans = {name: SlicePlan(margin=0.05, tolerance=0.02, weight=0.25) for name in ("de", "fr", "nl")}
    >>> [(found.name, found.status.value) for found in slice_reports(states, plans, 0.05, 0.025)]
    [('de', 'harm'), ('fr', 'insufficient'), ('nl', 'insufficient')]
    """
    check_share(alpha_harm, "alpha_harm")
    check_share(alpha_safe, "alpha_safe")
    total = math.fsum(plan.weight for plan in plans.values())
    if total > 1 + 1e-9:
        raise ValueError(f"sum of weights == {total!r}, must be <= 1")
    unplanned = sorted(set(states) - set(plans))
    if unplanned:
        raise ValueError(f"plans == {sorted(plans)!r}, must hold every slice that has data, also {unplanned!r}")
    found = [states.get(name, DifferenceCounts()) for name in plans]
    tolerances = np.array([plan.tolerance for plan in plans.values()], dtype=np.float64)
    margins = np.array([plan.margin for plan in plans.values()], dtype=np.float64)
    weights = np.array([plan.weight for plan in plans.values()], dtype=np.float64)
    harm, safe = log_e_many(found, -tolerances, "harm"), log_e_many(found, -margins, "noninferiority")
    detectable = minimum_detectable_harms(
        [state.n for state in found], [_discordance(state) for state in found], alpha_harm * weights, tolerances, _POWER
    )
    reports = []
    for name, state, log_harm, log_safe, smallest in zip(plans, found, harm, safe, detectable, strict=True):
        before = (0.0, 0.0) if peaks is None else peaks.get(name, (0.0, 0.0))
        highest = max(before[0], float(log_harm)), max(before[1], float(log_safe))
        status = slice_status(*highest, plans[name].weight, alpha_harm, alpha_safe)
        reports.append(_report(name, state, status, highest, float(smallest)))
    return tuple(reports)


def _report(
    name: str, state: DifferenceCounts, status: SliceStatus, highest: tuple[float, float], smallest: float
) -> SliceReport:
    none = NotEstimable(f"not even a total loss shows in {state.n} units")
    return SliceReport(
        name=name,
        status=status,
        reason=_reason(status, state.n, smallest),
        value=state.mean if state.n else None,
        n=state.n,
        log_e_harm=highest[0],
        log_e_safe=highest[1],
        minimum_detectable_harm=none if math.isinf(smallest) else smallest,
    )


def _reason(status: SliceStatus, n: int, smallest: float) -> str:
    if status is SliceStatus.HARM:
        return f"a loss beyond the tolerance in {n} units"
    if status is SliceStatus.SAFE:
        return f"a loss of the margin is ruled out by {n} units"
    if math.isinf(smallest):
        return f"{n} units: not even a total loss would show"
    return f"{n} units: a loss below {100 * smallest:.2g} pp would probably not show"


def _discordance(state: DifferenceCounts) -> float:
    """Return the mean squared difference; half a unit is added, so that none seen is not taken for none to come."""
    return (math.fsum(value * value * count for value, count in state.counts) + 0.5) / (state.n + 1)


def shrink(estimates: ArrayLike, standard_errors: ArrayLike) -> Shrinkage | NotEstimable:
    """Return the slices' estimates drawn towards their common mean, each as far as its noise suggests.

    Args:
        estimates: Shape (slices,).
        standard_errors: Of each estimate, above 0, shape (slices,).

    Raises:
        ValueError: The shapes differ, an estimate is not finite, or a standard error is not above 0 and finite.

    Source:
        DerSimonian & Laird 1986, Controlled Clinical Trials 7:177-188; Efron & Morris 1975.

    >>> found = shrink([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
    >>> (round(found.mean, 1), round(found.standard_error, 1), found.variance_between)
    (7.7, 4.1, 0.0)
    """
    y, se = np.asarray(estimates, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if y.ndim != 1 or y.shape != se.shape:
        raise ValueError(f"standard_errors.shape == {se.shape!r}, must be {y.shape!r}, one per estimate in one row")
    if not np.all(np.isfinite(y)):
        raise ValueError(f"estimates == {y.tolist()!r}, must be finite")
    if not np.all((se > 0) & np.isfinite(se)):
        raise ValueError(f"standard_errors == {se.tolist()!r}, must be > 0 and finite")
    if len(y) < 2:
        return NotEstimable(f"{len(y)} slice, shrinkage needs at least 2")
    heterogeneity, between = _between(y, 1 / se**2)
    weights = 1 / (se**2 + between)
    mean, variance = float(weights @ y / weights.sum()), float(1 / weights.sum())
    pull = se**2 / (se**2 + between)
    # What is left of a slice's own noise, and the noise of the mean that it is drawn to.
    posterior = np.sqrt((1 - pull) * se**2 + pull**2 * variance)
    return Shrinkage(
        shrunk=tuple((pull * mean + (1 - pull) * y).tolist()),
        shrunk_standard_errors=tuple(posterior.tolist()),
        mean=mean,
        standard_error=math.sqrt(variance),
        variance_between=between,
        heterogeneity=heterogeneity,
        n=len(y),
    )


def _between(y: Floats, weights: Floats) -> tuple[float, float]:
    """Return Cochran's Q and the moment estimate of the variance between slices."""
    total = float(weights.sum())
    fixed = float(weights @ y) / total
    heterogeneity = float(weights @ (y - fixed) ** 2)
    scale = total - float(weights @ weights) / total
    return heterogeneity, max(0.0, (heterogeneity - (len(y) - 1)) / scale)
