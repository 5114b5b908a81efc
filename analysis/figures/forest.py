"""All metrics and slices of one look: estimates with their intervals, each against its own margin and tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from analysis.figures.figure import Cell, Figure, Table, said, shortened
from analysis.figures.theme import Palette, Theme, line_at, palette, template

Tone = Literal["harmed", "not worse", "better", "cannot tell", "only watched"]
_SYMBOLS: dict[Tone, str] = {
    "harmed": "x",
    "not worse": "circle",
    "better": "star",
    "cannot tell": "diamond-open",
    "only watched": "square-open",
}
_ROW_PX = 34
_LABEL = 36
"""Characters of a row's name beside its axis."""


class ForestRow(NamedTuple):
    """One metric in one slice, in the unit of the figure."""

    label: str
    """Metric and slice in words."""
    tone: Tone
    verdict: str
    """In words, for the hover text and the table."""
    estimate: float | None
    lower: float | None
    """None: unbounded."""
    upper: float | None
    margin: float | None
    """Where the loss that must be ruled out lies; None if there is none."""
    tolerance: float | None
    """Where the harm that is not tolerated begins."""
    units: int


@dataclass(frozen=True, slots=True)
class Forest:
    """A row each; metrics whose worse side is not the same do not belong into one figure."""

    rows: tuple[ForestRow, ...]
    unit: str
    """`points` or `%`."""
    worse: Literal["left", "right"] = "left"
    margin_name: str = "margin (a loss to be ruled out)"

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing: colour and symbol say the verdict."""
        colours = palette(theme)
        low, high = self._range()
        ticks = {
            "tickvals": list(range(len(self.rows))),
            "ticktext": [said(shortened(row.label, _LABEL)) for row in self.rows],
        }
        aside = "further left is worse" if self.worse == "left" else "further right is worse"
        layout = template(
            theme,
            height_px=_ROW_PX * max(2, len(self.rows)) + 130,
            x={"title": f"treatment minus control ({self.unit})<br>{aside}", "range": [low, high]},
            y={"title": "", "range": [len(self.rows) - 0.5, -0.5], **ticks},
        )
        layout["shapes"] = [line_at(0.0, colours.soft, across="y", dash="solid")]
        return Figure((*self._estimates(colours), *self._limits(colours)), layout)

    def _estimates(self, colours: Palette) -> list[dict[str, Any]]:
        hues: dict[Tone, str] = {
            "harmed": colours.bad,
            "not worse": colours.good,
            "better": colours.better,
            "cannot tell": colours.unknown,
            "only watched": colours.soft,
        }
        found = []
        for tone, symbol in _SYMBOLS.items():
            rows = [(y, row) for y, row in enumerate(self.rows) if row.tone == tone and row.estimate is not None]
            if rows:
                found.append(self._group(tone, symbol, hues[tone], rows))
        return found

    def _group(self, tone: Tone, symbol: str, hue: str, rows: Sequence[tuple[int, ForestRow]]) -> dict[str, Any]:
        reach = 10 * max(map(abs, self._range()))
        centres = [row.estimate or 0.0 for _, row in rows]
        over = [(reach if row.upper is None else row.upper) - x for x, (_, row) in zip(centres, rows, strict=True)]
        under = [x - (-reach if row.lower is None else row.lower) for x, (_, row) in zip(centres, rows, strict=True)]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": tone,
            "x": centres,
            "y": [y for y, _ in rows],
            "error_x": {
                "type": "data",
                "symmetric": False,
                # The running interval can have left the estimate behind; a bar has no negative length.
                "array": [max(0.0, length) for length in over],
                "arrayminus": [max(0.0, length) for length in under],
                "thickness": 2,
                "width": 5,
                "color": hue,
            },
            "marker": {"symbol": symbol, "size": 12, "color": hue, "line": {"width": 2, "color": hue}},
            "hovertext": [self._hover(row) for _, row in rows],
            "hoverinfo": "text",
        }

    def _limits(self, colours: Palette) -> list[dict[str, Any]]:
        kinds = [
            (self.margin_name, [row.margin for row in self.rows], colours.ink, 3, "solid"),
            ("tolerance (harm beyond it)", [row.tolerance for row in self.rows], colours.bad, 2, "dot"),
        ]
        found = []
        for name, values, colour, width, dash in kinds:
            at = [(value, y) for y, value in enumerate(values) if value is not None]
            if at:
                line = {"color": colour, "width": width, "dash": dash}
                found.append(_strokes(name, at, line, self.unit))
        return found

    def _hover(self, row: ForestRow) -> str:
        return (
            f"{said(row.label)}: {said(row.verdict)}<br>{_number(row.estimate)} {self.unit}, between "
            f"{_number(row.lower)} and {_number(row.upper)}<br>{row.units:,} units"
        )

    def _range(self) -> tuple[float, float]:
        """Return where the axis ends: bars of groups with hardly any data are cut, so that the others are seen."""
        known = [value for row in self.rows for value in (row.estimate, row.margin, row.tolerance) if value is not None]
        widest = max((abs(value) for value in known), default=1.0) or 1.0
        ends = [end for row in self.rows for end in (row.lower, row.upper) if end is not None]
        # On either side as far as its values go, 1.6 times the widest estimate at most, and always a little of both.
        low = max(-1.6 * widest, 1.2 * min([-0.2 * widest, *known, *ends]))
        high = min(1.6 * widest, 1.2 * max([0.2 * widest, *known, *ends]))
        return low, high

    def alt_text(self) -> str:
        """Say in a sentence what was found where."""
        if not self.rows:
            return "All metrics and groups with their intervals: nothing has been measured yet."
        said_rows = [f"{row.label} {row.verdict}, {_number(row.estimate)} {self.unit}" for row in self.rows]
        return f"All metrics and groups with their intervals: {'; '.join(said_rows)}."

    def table(self) -> Table:
        """Return a row each."""
        unit = f"({self.unit})"
        columns = ("metric", "verdict", f"difference {unit}", f"lower end {unit}", f"upper end {unit}")
        rows = [_cells(row) for row in self.rows]
        return Table((*columns, f"margin {unit}", f"tolerance {unit}", "units"), tuple(rows))


def _strokes(name: str, at: Sequence[tuple[float, int]], line: dict[str, Any], unit: str) -> dict[str, Any]:
    """Return a short vertical stroke in each row, as one line with gaps."""
    x = [place for value, _ in at for place in (value, value, None)]
    y = [place for _, row in at for place in (row - 0.36, row + 0.36, None)]
    texts = [text for value, _ in at for text in (*[f"{name}: {value:+g} {unit}"] * 2, "")]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": line,
        "hovertext": texts,
        "hoverinfo": "text",
    }


def _cells(row: ForestRow) -> tuple[Cell, ...]:
    open_end = "-" if row.estimate is None else "unbounded"
    ends = (_number(row.lower, open_end), _number(row.upper, open_end))
    limits = (_number(row.margin, "-"), _number(row.tolerance, "-"))
    return (row.label, row.verdict, _number(row.estimate, "-"), *ends, *limits, row.units)


def _number(value: float | None, missing: str = "unbounded") -> str:
    return missing if value is None else f"{value:+.1f}"
