"""Figures for people: one record each, with its drawing, a sentence for those who cannot see it, and its data as rows.

A drawing is plain data in Plotly's own form (`Figure`), so that a page that sends it to the browser need not import
Plotly; `fragment` does, for a file that must stand alone. The records know no experiment: numbers and words in.
"""

from analysis.figures.daily_quality import DailyQuality, Day
from analysis.figures.durations import DurationCurve, Durations
from analysis.figures.evidence_over_time import EvidenceOverTime, EvidencePoint
from analysis.figures.figure import Drawn, Figure, Mark, both_themes, fragment
from analysis.figures.forest import Forest, ForestRow
from analysis.figures.interval_over_time import IntervalOverTime, IntervalPoint, Limit
from analysis.figures.ramp_over_time import RampOverTime, RampStep
from analysis.figures.theme import Theme

__all__ = [
    "DailyQuality",
    "Day",
    "Drawn",
    "DurationCurve",
    "Durations",
    "EvidenceOverTime",
    "EvidencePoint",
    "Figure",
    "Forest",
    "ForestRow",
    "IntervalOverTime",
    "IntervalPoint",
    "Limit",
    "Mark",
    "RampOverTime",
    "RampStep",
    "Theme",
    "both_themes",
    "fragment",
]
