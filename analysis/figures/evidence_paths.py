"""Many experiments at once, each a line: how their evidence wandered, and which of them ever crossed a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.figures.figure import Figure, Table, said
from analysis.figures.theme import Palette, Theme, label_at, line_at, palette, template

_LN10 = math.log(10)
_TICKS = range(-12, 31)


@dataclass(frozen=True, slots=True)
class EvidencePaths:
    """The evidence of several experiments at the same looks.

    Raises:
        ValueError: A path has not as many values as there are looks.
    """

    name: str
    """What is drawn, for example `e-value` or `1 / p`."""
    units: tuple[int, ...]
    """Units at each look, rising."""
    paths: tuple[tuple[float, ...], ...]
    """Natural logarithm of the evidence at each look, one path an experiment."""
    threshold: float
    """Natural logarithm; a path that reaches it has crossed."""
    threshold_text: str
    span: tuple[float, float] = (0.01, 1000.0)
    """Ends of the axis, as evidence: two figures with the same ends can be compared."""

    @classmethod
    def of(cls, name: str, units: ArrayLike, log_e: ArrayLike, threshold: float, threshold_text: str) -> EvidencePaths:
        """Take arrays: units of shape (looks,), evidence of shape (experiments, looks)."""
        paths = np.asarray(log_e, dtype=np.float64).tolist()
        looks = np.asarray(units, dtype=np.int64).tolist()
        return cls(name, tuple(looks), tuple(map(tuple, paths)), float(threshold), threshold_text)

    def __post_init__(self) -> None:
        for path in self.paths:
            if len(path) != len(self.units):
                raise ValueError(f"len(path) == {len(path)}, must be {len(self.units)}, one value a look")

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing: those that crossed stand out, with a mark where they first did."""
        colours = palette(theme)
        low, high = (math.log10(end) for end in self.span)
        layout = template(
            theme,
            height_px=380,
            x={"title": "units", "range": [0, max(self.units, default=1)]},
            y={"title": f"{said(self.name)} (logarithmic)", "range": [low, high], **_ticks()},
        )
        at = self.threshold / _LN10
        layout["shapes"] = [line_at(at, colours.ink)]
        layout["annotations"] = [label_at(at, said(self.threshold_text), colours.ink, colours.surface)]
        return Figure(tuple(self._traces(colours)), layout)

    def _traces(self, colours: Palette) -> list[dict[str, Any]]:
        crossed = [path for path in self.paths if self._first(path) is not None]
        others = [path for path in self.paths if self._first(path) is None]
        found = [
            self._lines(f"never crossed ({len(others)})", others, colours.unknown, 0.45),
            self._lines(f"crossed ({len(crossed)})", crossed, colours.bad, 0.8),
        ]
        return [*(trace for trace in found if trace["x"]), *([self._marks(crossed, colours)] if crossed else [])]

    def _lines(self, name: str, paths: Sequence[tuple[float, ...]], colour: str, opacity: float) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [unit for _ in paths for unit in (*self.units, None)],
            "y": [value for path in paths for value in (*(log_e / _LN10 for log_e in path), None)],
            "line": {"color": colour, "width": 1.2},
            "opacity": opacity,
            "hoverinfo": "skip",
        }

    def _marks(self, crossed: Sequence[tuple[float, ...]], colours: Palette) -> dict[str, Any]:
        looks = [look for path in crossed if (look := self._first(path)) is not None]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": "first crossing",
            "x": [self.units[look] for look in looks],
            "y": [path[look] / _LN10 for path, look in zip(crossed, looks, strict=True)],
            "marker": {"symbol": "x", "size": 8, "color": colours.bad},
            "hovertext": [f"crossed first at {self.units[look]:,} units" for look in looks],
            "hoverinfo": "text",
        }

    def _first(self, path: tuple[float, ...]) -> int | None:
        return next((look for look, value in enumerate(path) if value >= self.threshold), None)

    def alt_text(self) -> str:
        """Say in a sentence how many crossed."""
        if not self.paths or not self.units:
            return f"{self.name} over time: nothing has been measured yet."
        crossed = sum(self._first(path) is not None for path in self.paths)
        return (
            f"{self.name} of {len(self.paths)} experiments over {len(self.units)} looks up to {self.units[-1]:,} "
            f"units: {crossed} of them crossed at some look ({self.threshold_text})."
        )

    def table(self) -> Table:
        """Return a row an experiment: where it first crossed, its highest and its last evidence."""
        rows = []
        for number, path in enumerate(self.paths if self.units else (), start=1):
            look = self._first(path)
            first = "never" if look is None else f"{self.units[look]:,}"
            rows.append((number, first, f"{math.exp(max(path)):.3g}", f"{math.exp(path[-1]):.3g}"))
        columns = ("experiment", "crossed first at (units)", f"highest {self.name}", f"last {self.name}")
        return Table(columns, tuple(rows))


def _ticks() -> dict[str, Any]:
    texts = [f"{10.0**power:,.0f}" if power >= 0 else f"1/{10.0**-power:,.0f}" for power in _TICKS]
    return {"tickvals": list(_TICKS), "ticktext": texts}
