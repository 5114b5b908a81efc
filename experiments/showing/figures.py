"""Which figures an experiment has, in order: the same for the dashboard and the report. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from analysis.figures import Drawn
from experiments.evaluation.durations import MEASURES
from experiments.evidence import Evidence, Kind, MetricEvidence, Verdict
from experiments.showing import drawings
from experiments.showing.reader import SeriesPoint
from experiments.showing.standing import DailyRow, Standing

_ROLES = {"guardrail": 0, "goal": 1, "monitor": 2}


class Section(StrEnum):
    """What a figure is about: where it stands."""

    METRICS = "metrics"
    OVER_TIME = "over-time"
    RAMP = "ramp"
    DURATIONS = "durations"
    DAILY = "daily"


class ShownFigure(NamedTuple):
    """A figure with its place and title."""

    id: str
    """Letters, digits and hyphens; unique among those of the experiment."""
    section: Section
    title: str
    drawn: Drawn


def figures(
    standing: Standing, series: Sequence[SeriesPoint], days: Sequence[DailyRow], *, most_over_time: int
) -> list[ShownFigure]:
    """Return the figures of which there are data.

    Args:
        standing: Of the experiment.
        series: Looks of the epoch, from `Showing.series`.
        days: From `Showing.daily_quality`.
        most_over_time: So many figures over time, the most telling; the forest and the tables have everything.
    """
    return [
        *_forests(standing.evidence),
        *_over_time(standing, series, most_over_time),
        *_ramp(standing),
        *_durations(standing),
        *_daily(standing, days),
    ]


def _forests(evidence: Evidence | None) -> Iterator[ShownFigure]:
    if evidence is None:
        return
    paired = drawings.forest(evidence, Kind.PAIRED)
    if paired.rows:
        title = "Quality: the treatment's score less control's"
        yield ShownFigure("forest-quality", Section.METRICS, title, paired)
    ratio = drawings.forest(evidence, Kind.RATIO)
    if ratio.rows:
        title = "Speed and cost: the treatment's by control's"
        yield ShownFigure("forest-ratios", Section.METRICS, title, ratio)


def _over_time(standing: Standing, series: Sequence[SeriesPoint], most: int) -> Iterator[ShownFigure]:
    evidence = standing.evidence
    if evidence is None or len(series) < 2:
        return
    happened = drawings.marks(standing.transitions, evidence.epoch)
    for number, row in enumerate(_telling(evidence)[:most]):
        drawn = drawings.over_time(standing.experiment, series, row, happened)
        title = drawings.label(row.metric, row.slice, row.kind)
        yield ShownFigure(f"over-time-{number}", Section.OVER_TIME, title, drawn)


def _telling(evidence: Evidence) -> list[MetricEvidence]:
    """Return the rows worth a figure of their own: harmed ones, then all traffic, then the largest slices."""

    def rank(row: MetricEvidence) -> tuple[bool, bool, int, int]:
        return (row.verdict is not Verdict.HARM, bool(row.slice), _ROLES[row.role], -row.units)

    rows = [row for row in evidence.metrics if row.units and (not row.slice or row.kind is Kind.PAIRED)]
    return sorted(rows, key=rank)


def _ramp(standing: Standing) -> Iterator[ShownFigure]:
    if standing.state is None or standing.epoch is None:
        return
    until = standing.look.at if standing.look is not None else standing.state.stage_started_at
    drawn = drawings.ramp(standing.transitions, standing.epoch.number, until)
    if drawn.steps:
        yield ShownFigure("ramp", Section.RAMP, "Share of the users that the treatment serves", drawn)


def _durations(standing: Standing) -> Iterator[ShownFigure]:
    if standing.look is None:
        return
    for measure in MEASURES:
        drawn = drawings.durations(standing.experiment, standing.look, measure)
        if drawn is not None:
            name = f"{drawn.name[:1].upper()}{drawn.name[1:]}"
            yield ShownFigure(f"durations-{measure.replace('_', '-')}", Section.DURATIONS, name, drawn)


def _daily(standing: Standing, days: Sequence[DailyRow]) -> Iterator[ShownFigure]:
    for number, metric in enumerate(dict.fromkeys(row.metric for row in days if not row.slice)):
        drawn = drawings.daily(standing.experiment, days, metric)
        if drawn.days:
            title = f"{drawings.label(metric, '', Kind.PAIRED)}, day by day"
            yield ShownFigure(f"daily-{number}", Section.DAILY, title, drawn)
