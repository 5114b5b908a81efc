"""A few named curves over one axis, with the lines to hold them against: power, margins, error rates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.figures.figure import Figure, Table, said
from analysis.figures.theme import SMALL_FONT_PX, Palette, Theme, label_at, line_at, palette, template

Scale = Literal["linear", "log"]
_DASHES = ("solid", "dash", "dot", "longdash", "dashdot")
MOST = len(_DASHES)
"""Curves in one figure: more have no colour and dash of their own."""
_MOST_POWERS = 8
"""Of ten, that a logarithmic axis has ticks at."""
_FEW = 16
"""Points up to which each has a mark."""


class Curve(NamedTuple):
    """One curve, in the units of the figure's axes."""

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    """None: it could not be computed there, and the curve has a gap."""

    @classmethod
    def of(cls, label: str, x: ArrayLike, y: ArrayLike) -> Curve:
        """Take arrays, each of shape (points,); what is not finite becomes a gap.

        >>> Curve.of("power", [1, 2], [0.5, float("nan")])
        Curve(label='power', x=(1.0, 2.0), y=(0.5, None))
        """
        places, values = (np.asarray(given, dtype=np.float64).tolist() for given in (x, y))
        return cls(label, tuple(places), tuple(value if math.isfinite(value) else None for value in values))


class Guide(NamedTuple):
    """A line across the figure."""

    value: float
    text: str
    across: Literal["x", "y"] = "x"
    """`x` for a horizontal line, at a value of y; `y` for a vertical one."""


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves in the order of their importance.

    Raises:
        ValueError: There are more than `MOST`, or a curve has not as many x as y.
    """

    curves: tuple[Curve, ...]
    x_title: str
    """With its unit."""
    y_title: str
    guides: tuple[Guide, ...] = ()
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"

    def __post_init__(self) -> None:
        if len(self.curves) > MOST:
            raise ValueError(f"len(curves) == {len(self.curves)}, must be <= {MOST}")
        for curve in self.curves:
            if len(curve.x) != len(curve.y):
                raise ValueError(f"len(x) == {len(curve.x)}, must be {len(curve.y)}, as of y, in {curve.label!r}")

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing: each curve differs in colour and in dash."""
        colours = palette(theme)
        layout = template(
            theme,
            height_px=400,
            x={"title": said(self.x_title), "type": self.x_scale, **_plain(self.x_scale, self._values("x"))},
            y={"title": said(self.y_title), "type": self.y_scale, **_plain(self.y_scale, self._values("y"))},
        )
        if self.y_scale == "linear":
            layout["yaxis"]["rangemode"] = "tozero"
        steps = {"x": itertools.count(), "y": itertools.count()}
        for guide in self.guides:
            layout["shapes"].append(line_at(guide.value, colours.ink, across=guide.across, dash="dash"))
            layout["annotations"].append(self._label(guide, colours, next(steps[guide.across])))
        return Figure(tuple(self._traces(colours)), layout)

    def _values(self, axis: Literal["x", "y"]) -> list[float]:
        """Return all values on an axis, those of the lines across it included."""
        found = [value for curve in self.curves for value in (curve.x if axis == "x" else curve.y) if value is not None]
        return found + [guide.value for guide in self.guides if guide.across != axis]

    def _traces(self, colours: Palette) -> Iterator[dict[str, Any]]:
        hues = (colours.treatment, colours.bad, colours.good, colours.unknown, colours.ink)
        for curve, colour, dash in zip(self.curves, hues, _DASHES, strict=False):
            yield self._line(curve, colour, dash)

    def _line(self, curve: Curve, colour: str, dash: str) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines+markers" if len(curve.x) <= _FEW else "lines",
            "name": said(curve.label),
            "x": list(curve.x),
            "y": list(curve.y),
            "line": {"color": colour, "width": 2.5, "dash": dash},
            "marker": {"size": 6},
            "hovertext": [
                f"{said(curve.label)}<br>{said(self.x_title)}: {_number(x)}<br>{said(self.y_title)}: {_number(y)}"
                for x, y in zip(curve.x, curve.y, strict=True)
            ],
            "hoverinfo": "text",
            "connectgaps": False,
        }

    def _label(self, guide: Guide, colours: Palette, step: int) -> dict[str, Any]:
        """Return a guide's text; `step` counts those before it, so that two lines close together have theirs apart."""
        if guide.across == "x":
            value = _place(guide.value, self.y_scale)
            return label_at(value, said(guide.text), colours.ink, colours.surface, below=step % 2 == 1)
        return {
            "text": said(guide.text),
            "x": _place(guide.value, self.x_scale),
            "y": 0.99 - 0.08 * step,
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "top",
            "xshift": 4,
            "showarrow": False,
            "bgcolor": colours.surface,
            "opacity": 0.85,
            "font": {"size": SMALL_FONT_PX, "color": colours.ink},
        }

    def alt_text(self) -> str:
        """Say in a sentence where each curve begins and ends."""
        parts = [_in_words(curve) for curve in self.curves if any(y is not None for y in curve.y)]
        if not parts:
            return f"{self.y_title} over {self.x_title}: nothing has been measured yet."
        lines = "".join(f" Line at {_number(guide.value)}: {guide.text}." for guide in self.guides)
        return f"{self.y_title} over {self.x_title}: {'; '.join(parts)}.{lines}"

    def table(self) -> Table:
        """Return a row a point."""
        rows = [(curve.label, x, y) for curve in self.curves for x, y in zip(curve.x, curve.y, strict=True)]
        return Table(("curve", self.x_title, self.y_title), tuple(rows))


def _plain(scale: Scale, values: list[float]) -> dict[str, Any]:
    """Return ticks at powers of ten, and of 2 and 5 times these where there is room: Plotly's own leave them out."""
    if scale == "linear":
        return {}
    powers = [math.log10(value) for value in values if value > 0] or [0.0]
    low, high = math.floor(min(powers)), math.ceil(max(powers))
    step = max(1, math.ceil((high - low) / _MOST_POWERS))
    digits = (1, 2, 5) if high - low <= _MOST_POWERS // 2 and high < _MOST_POWERS - 1 else (1,)
    ticks = [digit * 10.0**power for power in range(low, high + 1, step) for digit in digits]
    return {"tickvals": ticks, "ticktext": [_tick(tick) for tick in ticks]}


def _tick(value: float) -> str:
    """Write a tick: in full up to a million, as a power above, since zeros cannot be counted at a glance.

    >>> _tick(20.0), _tick(1e6), _tick(1e8)
    ('20', '1,000,000', '10^8')
    """
    return _number(value) if value < 1e7 else f"10^{math.log10(value):.0f}"


def _place(value: float, scale: Scale) -> float:
    """Return where an annotation stands: on a logarithmic axis Plotly wants the exponent, of shapes it does not."""
    return math.log10(value) if scale == "log" else value


def _in_words(curve: Curve) -> str:
    known = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if y is not None]
    (x0, y0), (x1, y1) = known[0], known[-1]
    return f"{curve.label} from {_number(y0)} at {_number(x0)} to {_number(y1)} at {_number(x1)}"


def _number(value: float | None) -> str:
    """Write a number with three digits.

    >>> _number(12345.6), _number(0.01234), _number(None)
    ('12,346', '0.0123', 'unknown')
    """
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
