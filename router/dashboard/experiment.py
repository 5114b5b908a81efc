"""What the pages of one experiment show: its summary, and its figures ready for the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from analysis.figures import both_themes
from experiments.showing.differences import epoch_differences
from experiments.showing.figures import Section, ShownFigure, figures
from experiments.showing.reader import Showing
from experiments.showing.summary import summarise
from router.dashboard.operations import operations

_MOST_OVER_TIME = 12
"""Figures over time on one page; the forest and the tables have all metrics and slices."""
_MARKUP = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


class Shown(NamedTuple):
    """A figure, as a template needs it."""

    id: str
    label: str
    spec: str
    """JSON for the browser, for light and dark; safe inside a script element."""
    alt: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]


def show(figure: ShownFigure) -> Shown:
    """Make a figure ready for a template."""
    columns, rows = figure.drawn.table()
    spec = msgspec.json.encode(both_themes(figure.drawn)).decode().translate(_MARKUP)
    return Shown(figure.id, figure.title, spec, figure.drawn.alt_text(), columns, rows)


def experiment_page(showing: Showing, name: str) -> dict[str, Any]:
    """Return what the page of an experiment shows. Its cost does not grow with the traffic."""
    standing = showing.standing(name)
    summary = summarise(standing)
    series, days = showing.series(name, summary.epoch), showing.daily_quality(name, summary.epoch)
    drawn = figures(standing, series, days, most_over_time=_MOST_OVER_TIME)
    return {
        "summary": summary,
        "operations": operations(summary),
        "gate": standing.gate,
        "ramp": standing.experiment.ramp,
        "transitions": list(reversed(standing.transitions)),
        "epochs": list(reversed(epoch_differences(showing.epochs(name)))),
        "figures": {
            section.name.lower(): [show(found) for found in drawn if found.section is section] for section in Section
        },
    }
