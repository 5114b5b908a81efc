"""How fast both variants were: the share of answers that took at most so long, on a logarithmic axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from analysis.figures.figure import Figure, Table, said
from analysis.figures.theme import Palette, Theme, line_at, palette, template


class DurationCurve(NamedTuple):
    """One variant."""

    label: str
    role: Literal["control", "treatment"]
    values: tuple[float, ...]
    """Rising, above zero, in the unit of the figure."""
    shares: tuple[float, ...]
    """Share of the answers at or below each value, rising to 1."""
    quantiles: tuple[tuple[float, float], ...]
    """(share, value) of those to mark: 0.5, 0.95, 0.99."""
    answers: int
    """How many were measured."""


@dataclass(frozen=True, slots=True)
class Durations:
    """The curves of the variants."""

    name: str
    """For example `latency`."""
    unit: str
    """For example `ms`, or `tokens/s`."""
    curves: tuple[DurationCurve, ...]
    error_percent: float
    """Of each value, at most: from the buckets in which it was counted."""

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing."""
        colours = palette(theme)
        layout = template(
            theme,
            height_px=360,
            x={"title": f"{said(self.name)} ({self.unit}, logarithmic)", "type": "log", **self._ticks()},
            y={"title": "answers at or below (%)", "range": [0, 102]},
        )
        layout["shapes"] = [line_at(share, colours.line, dash="dot", width=1) for share in (50, 95, 99)]
        traces = [trace for curve in self.curves for trace in self._traces(curve, colours)]
        return Figure(tuple(traces), layout)

    def _ticks(self) -> dict[str, Any]:
        """Return 1, 2 and 5 of each power of ten, written out: Plotly's own leave the powers out."""
        values = [curve.values[place] for curve in self.curves if curve.values for place in (0, -1)]
        if not values:
            return {}
        powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
        ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return {"tickvals": ticks, "ticktext": [_number(tick) for tick in ticks]}

    def _traces(self, curve: DurationCurve, colours: Palette) -> list[dict[str, Any]]:
        control = curve.role == "control"
        colour = colours.control if control else colours.treatment
        line = {"color": colour, "width": 2.5, "dash": "dash" if control else "solid", "shape": "hv"}
        common = {"type": "scatter", "hoverinfo": "text", "legendgroup": curve.role}
        shares = [100 * share for share in curve.shares]
        texts = [
            f"{said(curve.label)}: {share:.1f} % at or below {_number(value)} {self.unit}"
            for value, share in zip(curve.values, shares, strict=True)
        ]
        marked = [
            f"{said(curve.label)}: {100 * share:g} % of the answers at or below {_number(value)} {self.unit}"
            for share, value in curve.quantiles
        ]
        return [
            common
            | {"mode": "lines", "name": said(curve.label), "x": list(curve.values), "y": shares, "line": line}
            | {"hovertext": texts},
            common
            | {"mode": "markers", "name": f"{said(curve.label)}, quantiles", "showlegend": False, "hovertext": marked}
            | {
                "x": [value for _, value in curve.quantiles],
                "y": [100 * share for share, _ in curve.quantiles],
                "marker": {"symbol": "square" if control else "circle", "size": 9, "color": colour},
            },
        ]

    def alt_text(self) -> str:
        """Say in a sentence how the variants compare."""
        known = [curve for curve in self.curves if curve.answers]
        if not known:
            return f"Distribution of {self.name}: nothing has been measured yet."
        parts = [
            f"{curve.label} "
            + ", ".join(
                f"{100 * share:g} % at or below {_number(value)} {self.unit}" for share, value in curve.quantiles
            )
            for curve in known
        ]
        return f"Distribution of {self.name}: {'; '.join(parts)}. Each value is within {self.error_percent:g} %."

    def table(self) -> Table:
        """Return a row a variant and quantile."""
        rows = [
            (curve.label, f"{100 * share:g} %", f"{_number(value)} {self.unit}", curve.answers)
            for curve in self.curves
            for share, value in curve.quantiles
        ]
        return Table(("variant", "share of answers", f"{self.name} at or below", "answers"), tuple(rows))


def _number(value: float) -> str:
    """Write a duration or rate with three digits.

    >>> _number(1234.5), _number(12.345), _number(0.5)
    ('1,234', '12.3', '0.5')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
