"""The quality of both variants, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from analysis.figures.figure import Figure, Table, said
from analysis.figures.theme import Palette, Theme, palette, template


class Day(NamedTuple):
    """One variant on one day."""

    day: str
    """UTC, `2026-11-25`."""
    role: Literal["control", "treatment"]
    percent: float | None
    """None: it could not be computed."""
    pairs: int


@dataclass(frozen=True, slots=True)
class DailyQuality:
    """A metric in a slice, per day."""

    label: str
    """Metric and slice in words."""
    labels: dict[str, str]
    """Role -> name of the variant."""
    days: tuple[Day, ...]

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing."""
        colours = palette(theme)
        layout = template(
            theme,
            height_px=320,
            x={"title": "day (UTC)", "type": "date"},
            y={"title": f"{said(self.label)} (%)", "rangemode": "normal"},
        )
        roles = [role for role in ("control", "treatment") if any(day.role == role for day in self.days)]
        return Figure(tuple(self._trace(role, colours) for role in roles), layout)

    def _trace(self, role: str, colours: Palette) -> dict[str, Any]:
        days = [day for day in self.days if day.role == role]
        control = role == "control"
        colour = colours.control if control else colours.treatment
        return {
            "type": "scatter",
            "mode": "lines+markers",
            "name": said(self._called(role)),
            "x": [day.day for day in days],
            "y": [day.percent for day in days],
            "line": {"color": colour, "width": 2.5, "dash": "dash" if control else "solid"},
            "marker": {"symbol": "square" if control else "circle", "size": 9},
            "hovertext": [
                f"{said(self._called(role))}, {day.day}: {_percent(day.percent)} of {day.pairs:,} pairs" for day in days
            ],
            "hoverinfo": "text",
            "connectgaps": False,
        }

    def _called(self, role: str) -> str:
        return self.labels.get(role, role)

    def alt_text(self) -> str:
        """Say in a sentence where it stands on the last day of each variant."""
        last = {day.role: day for day in self.days}
        if not last:
            return f"{self.label} day by day: nothing has been measured yet."
        parts = [f"{self._called(role)} {_percent(day.percent)} on {day.day}" for role, day in last.items()]
        return f"{self.label} day by day: {', '.join(parts)}."

    def table(self) -> Table:
        """Return a row a day and variant."""
        rows = [(day.day, self._called(day.role), _percent(day.percent), day.pairs) for day in self.days]
        return Table(("day (UTC)", "variant", self.label, "pairs"), tuple(rows))


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} %"
