"""What a figure is, and how it becomes a piece of a page."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple, Protocol

import numpy as np

from analysis.figures.theme import SMALL_FONT_PX, Palette, Theme

Cell = str | int | float | None
CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True, "topojsonURL": "/none"}
"""For the browser: no logo, no tools that send data elsewhere, no address to load maps from."""
_LETTERS = string.ascii_uppercase


class Table(NamedTuple):
    """A figure's data as rows, for a table below it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Mark(NamedTuple):
    """Something that happened at a time."""

    at_s: float
    """Wall-clock time in seconds since the epoch (UTC)."""
    text: str
    """What, in a few words."""
    why: str = ""
    """Who and why: for hover texts and tables."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing in Plotly's own form: `plotly.graph_objects.Figure(figure.data, figure.layout)` accepts it."""

    data: tuple[dict[str, Any], ...]
    layout: dict[str, Any]

    def payload(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {"data": list(self.data), "layout": self.layout}


class Drawn(Protocol):
    """What every figure's record can do."""

    def figure(self, theme: Theme) -> Figure:
        """Return the drawing."""

    def alt_text(self) -> str:
        """Say in a sentence what it shows, for those who cannot see it."""

    def table(self) -> Table:
        """Return its data as rows."""


def both_themes(drawn: Drawn) -> dict[str, Any]:
    """Return the drawing for light and dark, as plain data: the page chooses."""
    return {theme.value: drawn.figure(theme).payload() for theme in Theme}


def fragment(figure: Figure, name: str) -> str:
    """Return a piece of HTML that draws the figure once Plotly's script is on the page; it loads nothing.

    Args:
        figure: What to draw.
        name: Its name on the page: the same name and figure give the same text, to the last byte.

    Raises:
        ValueError: The name is not letters, digits and hyphens.
    """
    if not name or not all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in name):
        raise ValueError(f"name == {name!r}, must be letters, digits and hyphens")
    from plotly.io import to_html  # noqa: PLC0415  # takes long to import, and most callers only want the data

    html = to_html(
        figure.payload(),
        config=dict(CONFIG),
        include_plotlyjs=False,
        full_html=False,
        div_id=f"figure-{name}",
        validate=False,
    )
    return str(html)


def said(text: str) -> str:
    """Return a text for use inside a drawing: Plotly takes `<a href=...>` for a link, wherever it came from.

    >>> said('<a href="http://elsewhere">Hindi</a>')
    '&lt;a href="http://elsewhere"&gt;Hindi&lt;/a&gt;'
    """
    return escape(text, quote=False)


def shortened(text: str, most: int) -> str:
    """Cut a text for a label, so that a long name leaves room for the data; it stands whole in the table.

    >>> shortened("quality, Hinglish", 40), shortened("quality, tenant=a-very-long-name", 12)
    ('quality, Hinglish', 'quality, te…')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def milliseconds(at_s: float) -> float:
    """Turn a time into what Plotly's date axes take."""
    return round(1000 * at_s)


def moment(at_s: float) -> str:
    """Write a time for people, in UTC.

    >>> moment(1_700_000_000.0)
    '2023-11-14 22:13'
    """
    return str(np.datetime64(int(at_s), "s")).replace("T", " ")[:16]


def letter(index: int) -> str:
    """Name a mark: A, B, ..., Z, A2, B2, ...

    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'A2')
    """
    turn = index // len(_LETTERS)
    return _LETTERS[index % len(_LETTERS)] + (str(turn + 1) if turn else "")


def mark_traces(marks: Sequence[Mark], y: float, colours: Palette) -> list[dict[str, Any]]:
    """Return a row of lettered marks at a height; what they mean stands in the hover text and in the table."""
    if not marks:
        return []
    texts = [f"{letter(i)}: {said(in_full(mark))}<br>{moment(mark.at_s)} UTC" for i, mark in enumerate(marks)]
    return [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "decision",
            "x": [milliseconds(mark.at_s) for mark in marks],
            "y": [y] * len(marks),
            "text": [letter(i) for i in range(len(marks))],
            "textposition": "middle center",
            "textfont": {"size": SMALL_FONT_PX, "color": colours.ink},
            "marker": {
                "symbol": "circle",
                "size": 20,
                "color": colours.surface,
                "line": {"color": colours.ink, "width": 1.5},
            },
            "hovertext": texts,
            "hoverinfo": "text",
            "cliponaxis": False,
        }
    ]


def in_full(mark: Mark) -> str:
    """Say what happened and why.

    >>> in_full(Mark(0.0, "paused", "alice: lunch"))
    'paused (alice: lunch)'
    """
    return f"{mark.text} ({mark.why})" if mark.why else mark.text


def mark_lines(marks: Sequence[Mark], colour: str) -> list[dict[str, Any]]:
    """Return a thin vertical line for each mark."""
    return [
        {
            "type": "line",
            "layer": "below",
            "x0": milliseconds(mark.at_s),
            "x1": milliseconds(mark.at_s),
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": colour, "width": 1, "dash": "dot"},
        }
        for mark in marks
    ]


def marks_in_words(marks: Sequence[Mark]) -> str:
    """List the marks for an alternative text; empty without any.

    >>> marks_in_words([Mark(1_700_000_000.0, "promoted")])
    ' Decisions: A, 2023-11-14 22:13 UTC, promoted.'
    """
    if not marks:
        return ""
    shown = [f"{letter(i)}, {moment(mark.at_s)} UTC, {mark.text}" for i, mark in enumerate(marks)]
    return f" Decisions: {'; '.join(shown)}."
