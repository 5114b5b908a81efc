"""Which share of the users the treatment served, over time, with the decisions that changed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from analysis.figures.figure import (
    Figure,
    Mark,
    Table,
    in_full,
    letter,
    mark_lines,
    mark_traces,
    marks_in_words,
    milliseconds,
    moment,
)
from analysis.figures.theme import Theme, palette, template


class RampStep(NamedTuple):
    """From this time on, so many percent of the users."""

    at_s: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    split_percent: float


@dataclass(frozen=True, slots=True)
class RampOverTime:
    """The split in steps."""

    steps: tuple[RampStep, ...]
    until_s: float
    """When the last step is known to have lasted: the newest look, or now. Seconds since the epoch (UTC)."""
    marks: tuple[Mark, ...] = ()

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing."""
        colours = palette(theme)
        top = max([10.0, *(step.split_percent for step in self.steps)]) * 1.15
        layout = template(
            theme,
            height_px=300,
            x={"title": "time (UTC)", "type": "date", **self._range()},
            y={"title": "users with the treatment (%)", "range": [0, top]},
        )
        layout["shapes"] = mark_lines(self.marks, colours.soft)
        shown = [*self.steps, *([self._end()] if self.steps else [])]
        trace = {
            "type": "scatter",
            "mode": "lines",
            "name": "share of the treatment",
            "x": [milliseconds(step.at_s) for step in shown],
            "y": [step.split_percent for step in shown],
            "line": {"shape": "hv", "color": colours.treatment, "width": 3},
            "fill": "tozeroy",
            "fillcolor": "rgba(11, 87, 168, 0.12)" if theme is Theme.LIGHT else "rgba(127, 184, 255, 0.16)",
            "hovertext": [f"{step.split_percent:g} % of the users<br>{moment(step.at_s)} UTC" for step in shown],
            "hoverinfo": "text",
        }
        return Figure((trace, *mark_traces(self.marks, top, colours)), layout)

    def _end(self) -> RampStep:
        return RampStep(max(self.until_s, self.steps[-1].at_s), self.steps[-1].split_percent)

    def _range(self) -> dict[str, Any]:
        """Return where the axis ends: a little behind the newest step, so that it is seen."""
        if not self.steps:
            return {}
        first, last = self.steps[0].at_s, max(self.until_s, self.steps[-1].at_s)
        aside = max(1.0, last - first) * 0.04
        return {"range": [milliseconds(first - aside), milliseconds(last + aside)]}

    def alt_text(self) -> str:
        """Say in a sentence how the split went."""
        if not self.steps:
            return "Share of the users with the treatment over time: it has not begun."
        path = ", then ".join(f"{step.split_percent:g} %" for step in self.steps)
        return f"Share of the users with the treatment over time: {path}.{marks_in_words(self.marks)}"

    def table(self) -> Table:
        """Return a row a step, and what was decided at that time."""
        decided = {mark.at_s: f"{letter(i)}: {in_full(mark)}" for i, mark in enumerate(self.marks)}
        rows = [(moment(s.at_s), f"{s.split_percent:g} %", decided.get(s.at_s, "")) for s in self.steps]
        return Table(("from (UTC)", "users with the treatment", "why"), tuple(rows))
