"""Looks -> the records of `analysis.figures`: the same figures for the dashboard and the report. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from analysis.figures import (
    DailyQuality,
    Day,
    DurationCurve,
    EvidenceOverTime,
    EvidencePoint,
    Forest,
    ForestRow,
    IntervalOverTime,
    IntervalPoint,
    Limit,
    Mark,
    RampOverTime,
    RampStep,
)
from analysis.figures import Durations as DurationsFigure
from analysis.figures.forest import Tone
from experiments.config.records import Experiment
from experiments.evaluation.durations import ERROR_PERCENT, LATENCY_MS, TOKENS_PER_S, TTFT_MS, Durations
from experiments.evidence import Evidence, Kind, MetricEvidence, Verdict
from experiments.explain import where
from experiments.model import CONTROL, TREATMENT, Phase
from experiments.scoring.operational import TOKENS_PER_SECOND
from experiments.server_timings import COMPUTE_MS, QUEUE_MS, WAITING_MS
from experiments.showing.metric_rows import harm_threshold, metric_label, safe_threshold
from experiments.showing.reader import MetricPoint, SeriesPoint
from experiments.showing.standing import DailyRow
from experiments.stored import Look, Transition

_TONES: dict[Verdict, Tone] = {
    Verdict.HARM: "harmed",
    Verdict.NONINFERIOR: "not worse",
    Verdict.SUPERIOR: "better",
    Verdict.INSUFFICIENT: "cannot tell",
    Verdict.NOT_ESTIMABLE: "cannot tell",
}
_MEASURES = {
    LATENCY_MS: ("latency", "ms"),
    TTFT_MS: ("time to the first byte", "ms"),
    TOKENS_PER_S: ("speed of the answer", "tokens/s"),
    COMPUTE_MS: ("compute, by the server's word", "ms"),
    WAITING_MS: ("queueing and network: latency less compute", "ms"),
    QUEUE_MS: ("wait in the server's queue, by its word", "ms"),
}
_PHASES = {
    Phase.RUNNING: "{split} to the treatment",
    Phase.PROMOTED: "promoted, {split} to the treatment",
    Phase.ROLLED_BACK: "rolled back",
    Phase.STOPPED: "stopped without a winner",
    Phase.PAUSED: "paused",
    Phase.GATED: "waits at its gate",
    Phase.DRAFT: "not started",
}
_MOST_OF_A_REASON = 160
"""Characters of a reason in a hover text; the decision log has it whole."""


def label(metric: str, slice_: str, kind: Kind) -> str:
    """Name a metric in a slice.

    >>> label("quality", "language=hi-Latn", Kind.PAIRED), label("errors", "", Kind.EVENT)
    ('quality, Hinglish', 'the error rate (live users), all traffic')
    """
    return f"{metric_label(metric, kind)}, {where(slice_)}"


def marks(transitions: Sequence[Transition], epoch: int) -> tuple[Mark, ...]:
    """Return what changed the route of an epoch."""
    return tuple(Mark(t.at, *_happened(t)) for t in transitions if t.epoch == epoch)


def _happened(transition: Transition) -> tuple[str, str]:
    what = _PHASES[transition.to_phase].format(split=f"{transition.split_basis_points / 100:g} %")
    reason = transition.reason
    if len(reason) > _MOST_OF_A_REASON:
        reason = f"{reason[:_MOST_OF_A_REASON]}..."
    return what, f"{transition.actor}: {reason}" if reason else transition.actor


def ramp(transitions: Sequence[Transition], epoch: int, until_s: float) -> RampOverTime:
    """Draw the split over time.

    Args:
        transitions: Of the experiment.
        epoch: Which epoch.
        until_s: How far the last step is known to have lasted: wall-clock time in seconds since the epoch (UTC).
    """
    chosen = [t for t in transitions if t.epoch == epoch]
    steps = tuple(RampStep(t.at, t.split_basis_points / 100) for t in chosen)
    return RampOverTime(steps, until_s, marks(transitions, epoch))


# --- over time --------------------------------------------------------------------------------------------------------


def over_time(
    experiment: Experiment, series: Sequence[SeriesPoint], row: MetricEvidence, happened: Sequence[Mark]
) -> EvidenceOverTime | IntervalOverTime:
    """Draw how a metric went: its evidence if it has one, else its interval.

    Args:
        experiment: As its epoch has it.
        series: Looks, from `Showing.series`.
        row: The metric and slice, as the newest look has it.
        happened: From `marks`.
    """
    if row.log_e_harm is not None or row.log_e_noninferior is not None:
        return evidence_over_time(experiment, series, row, happened)
    return interval_over_time(series, row, happened)


def evidence_over_time(
    experiment: Experiment, series: Sequence[SeriesPoint], row: MetricEvidence, happened: Sequence[Mark]
) -> EvidenceOverTime:
    """Draw the e-values of a guardrail against their thresholds; arguments as in `over_time`."""
    points = tuple(
        EvidencePoint(seen.at, seen.number, found.units, found.log_e_harm, found.log_e_noninferior)
        for seen, found in _of(series, row)
    )
    policy = experiment.policy
    name = label(row.metric, row.slice, row.kind)
    return EvidenceOverTime(name, points, harm_threshold(policy, row), safe_threshold(policy, row), tuple(happened))


def interval_over_time(
    series: Sequence[SeriesPoint], row: MetricEvidence, happened: Sequence[Mark]
) -> IntervalOverTime:
    """Draw the interval of a metric with its margin and tolerance; arguments as in `over_time`."""
    points = tuple(
        IntervalPoint(seen.at, seen.number, found.units, _scaled(found.estimate), *_ends(found))
        for seen, found in _of(series, row)
    )
    ratio = row.kind is Kind.RATIO
    limits = (
        *_limit(row.margin, "asked for" if ratio else "margin, to be ruled out", "margin"),
        *_limit(row.tolerance, "tolerance", "tolerance"),
    )
    return IntervalOverTime(
        label=label(row.metric, row.slice, row.kind),
        unit="%" if ratio else "points",
        points=points,
        limits=limits,
        method="95 %, valid at every look, asymptotic" if ratio else "95 %, valid at every look",
        marks=tuple(happened),
    )


def _limit(value: float | None, text: str, kind: Literal["margin", "tolerance"]) -> list[Limit]:
    return [] if value is None else [Limit(_percent(-value), text, kind)]


def _of(series: Sequence[SeriesPoint], row: MetricEvidence) -> list[tuple[SeriesPoint, MetricPoint]]:
    return [
        (seen, found)
        for seen in series
        for found in seen.metrics
        if (found.metric, found.slice, found.kind) == (row.metric, row.slice, row.kind)
    ]


def _ends(row: MetricEvidence | MetricPoint) -> tuple[float | None, float | None]:
    if row.interval is None:
        return None, None
    return _scaled(row.interval.lower), _scaled(row.interval.upper)


def _scaled(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _percent(share: float) -> float:
    """Turn a configured share into percent without what floating point adds to it.

    >>> _percent(-0.07)
    -7.0
    """
    return round(100 * share, 9)


# --- one look ---------------------------------------------------------------------------------------------------------


def forest(evidence: Evidence, kind: Literal[Kind.PAIRED, Kind.RATIO]) -> Forest:
    """Draw all metrics and slices of a kind that have a value; live events have no interval and are not among them."""
    rows = [row for row in evidence.metrics if row.kind is kind and row.estimate is not None]
    ratio = kind is Kind.RATIO
    drawn = tuple(map(_forest_row, rows))
    return Forest(drawn, "%", "right", "asked for") if ratio else Forest(drawn, "points")


def _forest_row(row: MetricEvidence) -> ForestRow:
    lower, upper = _ends(row)
    tone: Tone = "only watched" if row.role == "monitor" else _TONES[row.verdict]
    # The axis says which side is worse, and of this one metric it is the other.
    aside = " (right is better)" if row.metric == TOKENS_PER_SECOND else ""
    return ForestRow(
        label=label(row.metric, row.slice, row.kind) + aside,
        tone=tone,
        verdict=tone,
        estimate=_scaled(row.estimate),
        lower=lower,
        upper=upper,
        margin=None if row.margin is None else _percent(-row.margin),
        tolerance=None if row.tolerance is None else _percent(-row.tolerance),
        units=row.units,
    )


def durations(experiment: Experiment, look: Look, measure: str) -> DurationsFigure | None:
    """Draw how long answers take, or how fast they come; None if the look has nothing of it.

    Args:
        experiment: Names the variants.
        look: The newest, with its state.
        measure: One of `experiments.evaluation.durations.MEASURES`.
    """
    kept: dict[str, Any] | None = look.state.get("durations")
    if not kept or not kept.get(measure):
        return None
    found = Durations.of(kept)
    curves = (
        _curve(found, measure, "control", experiment.control),
        _curve(found, measure, "treatment", experiment.treatment),
    )
    name, unit = _MEASURES[measure]
    return DurationsFigure(name, unit, tuple(curve for curve in curves if curve.answers), ERROR_PERCENT)


def _curve(found: Durations, measure: str, role: Literal["control", "treatment"], name: str) -> DurationCurve:
    variant = CONTROL if role == "control" else TREATMENT
    curve = found.curve(measure, variant)
    return DurationCurve(
        label=name,
        role=role,
        values=tuple(point.value for point in curve),
        shares=tuple(point.share for point in curve),
        quantiles=tuple((point.share, point.value) for point in found.quantiles(measure, variant)),
        answers=found.count(measure, variant),
    )


def daily(experiment: Experiment, rows: Sequence[DailyRow], metric: str, slice_: str = "") -> DailyQuality:
    """Draw the quality of each day.

    Args:
        experiment: Names the variants.
        rows: From `Showing.daily_quality`.
        metric: Which metric.
        slice_: Which slice; empty for all traffic.
    """
    days = [
        Day(row.day, "control" if row.variant == CONTROL else "treatment", _scaled(row.mean), row.pairs)
        for row in rows
        if row.metric == metric and row.slice == slice_
    ]
    names = {"control": experiment.control, "treatment": experiment.treatment}
    return DailyQuality(label(metric, slice_, Kind.PAIRED), names, tuple(days))
