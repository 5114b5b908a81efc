"""How the interval of one metric narrowed, with no difference, the tolerance and the margin drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from analysis.figures.figure import (
    Figure,
    Mark,
    Table,
    mark_lines,
    mark_traces,
    marks_in_words,
    milliseconds,
    moment,
    said,
)
from analysis.figures.theme import Palette, Theme, label_at, line_at, palette, template


class IntervalPoint(NamedTuple):
    """One look, in the unit of the figure; None where a side is unbounded or nothing is known."""

    at_s: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    look: int
    units: int
    estimate: float | None
    lower: float | None
    upper: float | None


class Limit(NamedTuple):
    """A line to hold the interval against."""

    value: float
    """In the unit of the figure."""
    text: str
    kind: Literal["margin", "tolerance"]


@dataclass(frozen=True, slots=True)
class IntervalOverTime:
    """The interval of one metric in one slice."""

    label: str
    """Metric and slice in words."""
    unit: str
    """`points` or `%`."""
    points: tuple[IntervalPoint, ...]
    limits: tuple[Limit, ...] = ()
    method: str = "95 %, valid at every look"
    marks: tuple[Mark, ...] = ()

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing."""
        colours = palette(theme)
        low, high = self._range()
        layout = template(
            theme,
            height_px=380,
            x={"title": "time (UTC)", "type": "date"},
            y={"title": f"treatment minus control ({self.unit})", "range": [low, high]},
        )
        lines = [line_at(0.0, colours.soft, dash="solid")]
        for limit in self.limits:
            margin = limit.kind == "margin"
            colour = colours.ink if margin else colours.bad
            lines.append(line_at(limit.value, colour, dash="dash" if margin else "dot", width=2))
            text = f"{said(limit.text)}: {limit.value:+g} {self.unit}"
            layout["annotations"].append(label_at(limit.value, text, colour, colours.surface, below=margin))
        layout["shapes"] = [*lines, *mark_lines(self.marks, colours.soft)]
        return Figure((*self._traces(colours), *mark_traces(self.marks, high, colours)), layout)

    def _traces(self, colours: Palette) -> list[dict[str, Any]]:
        banded = [p for p in self.points if p.lower is not None and p.upper is not None]
        edge = {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0, "color": colours.treatment},
            "hoverinfo": "skip",
        }
        x = [milliseconds(p.at_s) for p in banded]
        known = [p for p in self.points if p.estimate is not None]
        return [
            edge | {"x": x, "y": [p.lower for p in banded], "showlegend": False, "name": "lower end"},
            edge
            | {
                "x": x,
                "y": [p.upper for p in banded],
                "name": f"interval ({self.method})",
                "fill": "tonexty",
                "fillcolor": _faint(colours.treatment),
            },
            {
                "type": "scatter",
                "mode": "lines",
                "name": "estimate",
                "x": [milliseconds(p.at_s) for p in known],
                "y": [p.estimate for p in known],
                "line": {"color": colours.treatment, "width": 2.5},
                "hovertext": [self._hover(p) for p in known],
                "hoverinfo": "text",
            },
        ]

    def _hover(self, point: IntervalPoint) -> str:
        return (
            f"{said(self.label)}: {_number(point.estimate)} {self.unit}<br>between {_number(point.lower)} and "
            f"{_number(point.upper)} {self.unit}<br>{point.units:,} units, {moment(point.at_s)} UTC"
        )

    def _range(self) -> tuple[float, float]:
        """Return what to show: the first intervals are so wide that the later ones would be a line."""
        last = self.points[-1] if self.points else None
        ends = [value for value in (last.lower, last.upper, last.estimate) if value is not None] if last else []
        ends += [limit.value for limit in self.limits]
        reach = max((abs(value) for value in ends), default=1.0) or 1.0
        return 1.6 * min([-0.2 * reach, *ends]), 1.6 * max([0.2 * reach, *ends])

    def alt_text(self) -> str:
        """Say in a sentence where the interval stands."""
        if not self.points:
            return f"Interval over time of {self.label}: nothing has been measured yet."
        last = self.points[-1]
        limits = "".join(f" {x.text[:1].upper()}{x.text[1:]}: {x.value:+g} {self.unit}." for x in self.limits)
        found = f"{_number(last.estimate)} {self.unit}, between {_number(last.lower)} and {_number(last.upper)}"
        return (
            f"Difference over time of {self.label}, after {last.units:,} units: {found} ({self.method}).{limits}"
            f"{marks_in_words(self.marks)}"
        )

    def table(self) -> Table:
        """Return a row a look."""
        rows = [
            (moment(p.at_s), p.look, p.units, _number(p.estimate), _number(p.lower), _number(p.upper))
            for p in self.points
        ]
        unit = f"({self.unit})"
        columns = ("time (UTC)", "look", "units", f"difference {unit}", f"lower end {unit}", f"upper end {unit}")
        return Table(columns, tuple(rows))


def _number(value: float | None) -> str:
    """Write a difference.

    >>> _number(-1.234), _number(None)
    ('-1.2', 'unbounded')
    """
    return "unbounded" if value is None else f"{value:+.1f}"


def _faint(colour: str) -> str:
    """Return a colour through which the grid is seen.

    >>> _faint("#0b57a8")
    'rgba(11, 87, 168, 0.18)'
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"
