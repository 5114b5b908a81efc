"""How the evidence of one metric grew: e-values of harm and of no harm, against the thresholds that they must reach."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

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

_LN10 = math.log(10)
_FLOOR = -2.0
"""log10: below 1 : 100 nothing is to be seen but that there is no evidence."""


class EvidencePoint(NamedTuple):
    """One look. E-values are natural logarithms; None where there is none."""

    at_s: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    look: int
    units: int
    log_e_harm: float | None
    log_e_safe: float | None


@dataclass(frozen=True, slots=True)
class EvidenceOverTime:
    """The evidence of one metric in one slice."""

    label: str
    """Metric and slice in words."""
    points: tuple[EvidencePoint, ...]
    harm_threshold: float | None
    """Natural logarithm, the weight of the metric included; None if the metric is not watched for harm."""
    safe_threshold: float | None
    """Natural logarithm; None if no margin is to be ruled out."""
    marks: tuple[Mark, ...] = ()

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing: times the odds of a fair bet, on a logarithmic axis."""
        colours = palette(theme)
        top = self._top()
        layout = template(
            theme,
            height_px=380,
            x={"title": "time (UTC)", "type": "date"},
            y={"title": "evidence (e-value, times)", "range": [_FLOOR, top], **_ticks(top)},
        )
        lines = [line_at(0.0, colours.soft, dash="solid", width=1)]
        for place, (threshold, text, colour) in enumerate(self._thresholds(colours)):
            lines.append(line_at(threshold / _LN10, colour))
            # The two can be close together: the lower one has its text below it.
            label = label_at(threshold / _LN10, text, colour, colours.surface, below=place > 0)
            layout["annotations"].append(label)
        layout["shapes"] = [*lines, *mark_lines(self.marks, colours.soft)]
        return Figure((*self._traces(colours), *mark_traces(self.marks, top, colours)), layout)

    def _thresholds(self, colours: Palette) -> list[tuple[float, str, str]]:
        found = []
        if self.harm_threshold is not None:
            found.append((self.harm_threshold, f"harm is proven from {_times(self.harm_threshold)}", colours.bad))
        if self.safe_threshold is not None:
            found.append((self.safe_threshold, f"no harm is proven from {_times(self.safe_threshold)}", colours.good))
        return sorted(found, reverse=True)

    def _traces(self, colours: Palette) -> list[dict[str, Any]]:
        kinds = [
            ("for harm", [p.log_e_harm for p in self.points], colours.bad, "dash"),
            ("for no harm", [p.log_e_safe for p in self.points], colours.good, "solid"),
        ]
        return [
            {
                "type": "scatter",
                "mode": "lines+markers" if len(self.points) < 40 else "lines",
                "name": f"evidence {name}",
                "x": [milliseconds(p.at_s) for p in self.points],
                "y": [None if log_e is None else log_e / _LN10 for log_e in values],
                "line": {"color": colour, "width": 2.5, "dash": dash},
                "marker": {"symbol": "x" if name == "for harm" else "circle", "size": 7},
                "hovertext": [self._hover(name, p, v) for p, v in zip(self.points, values, strict=True)],
                "hoverinfo": "text",
            }
            for name, values, colour, dash in kinds
            if any(value is not None for value in values)
        ]

    def _hover(self, name: str, point: EvidencePoint, log_e: float | None) -> str:
        shown = "unknown" if log_e is None else _times(log_e)
        return f"{said(self.label)}<br>evidence {name}: {shown}<br>{point.units:,} units, {moment(point.at_s)} UTC"

    def _top(self) -> float:
        logs = [value for p in self.points for value in (p.log_e_harm, p.log_e_safe) if value is not None]
        logs += [value for value in (self.harm_threshold, self.safe_threshold) if value is not None]
        return max([1.0, *(log / _LN10 for log in logs)]) * 1.12 + 0.2

    def alt_text(self) -> str:
        """Say in a sentence where the evidence stands."""
        if not self.points:
            return f"Evidence over time of {self.label}: nothing has been measured yet."
        last = self.points[-1]
        parts = [
            f"that for {name} is {_times(log_e)}, a proof from {_times(threshold)} on"
            for name, log_e, threshold in (
                ("harm", last.log_e_harm, self.harm_threshold),
                ("no harm", last.log_e_safe, self.safe_threshold),
            )
            if log_e is not None and threshold is not None
        ]
        stands = "; ".join(parts) or "there is none"
        return f"Evidence over time of {self.label}, after {last.units:,} units: {stands}.{marks_in_words(self.marks)}"

    def table(self) -> Table:
        """Return a row a look."""
        rows = [(moment(p.at_s), p.look, p.units, _cell(p.log_e_harm), _cell(p.log_e_safe)) for p in self.points]
        return Table(("time (UTC)", "look", "units", "e-value of harm", "e-value of no harm"), tuple(rows))


def _cell(log_e: float | None) -> str:
    return "-" if log_e is None else _times(log_e)


def _times(log_e: float) -> str:
    """Write an e-value for people.

    >>> _times(math.log(40)), _times(math.log(1.5)), _times(0.0), _times(-20.0), _times(60.0)
    ('40 times', '1.5 times', '1 times', 'less than 0.01 times', '10^26 times')
    """
    if log_e < _FLOOR * _LN10:
        return "less than 0.01 times"
    if log_e > 6 * _LN10:
        return f"10^{log_e / _LN10:.0f} times"
    value = math.exp(log_e)
    return f"{value:,.0f} times" if value >= 10 else f"{value:.2g} times"


def _ticks(top: float) -> dict[str, Any]:
    step = max(1, math.ceil((top - _FLOOR) / 8))
    values = [v for v in range(int(_FLOOR), math.floor(top) + 1) if v % step == 0 or step == 1]
    return {
        "tickvals": values,
        "ticktext": [f"{10**v:,}" if 0 <= v <= 6 else f"{10.0**v:g}" if v < 0 else f"10^{v}" for v in values],
    }
