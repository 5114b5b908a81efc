"""How all figures look: one template for light and dark. Colours are told apart without seeing red or green."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FONT_PX = 13
"""Size of ordinary text; nothing is smaller than 12 px."""
SMALL_FONT_PX = 12


class Theme(StrEnum):
    """What a figure is drawn on."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme. Those of data have a contrast of 3 : 1 or more against the surface, text 4.5 : 1."""

    surface: str
    ink: str
    soft: str
    """Text that is less important."""
    line: str
    """The grid."""
    control: str
    treatment: str
    bad: str
    good: str
    better: str
    unknown: str


# After Okabe and Ito: orange, bluish green and blue differ for every kind of colour vision, and in lightness from grey.
_PALETTES = {
    Theme.LIGHT: Palette(
        surface="#ffffff",
        ink="#16202c",
        soft="#4d5b6b",
        line="#d9dee5",
        control="#56616e",
        treatment="#0b57a8",
        bad="#c24a00",
        good="#007a5a",
        better="#0b57a8",
        unknown="#6b7280",
    ),
    Theme.DARK: Palette(
        surface="#161d27",
        ink="#e8edf3",
        soft="#a9b6c5",
        line="#2f3b4a",
        control="#a9b6c5",
        treatment="#7fb8ff",
        bad="#ff9350",
        good="#3ecf9e",
        better="#7fb8ff",
        unknown="#95a1b0",
    ),
}


def palette(theme: Theme) -> Palette:
    """Return the colours of a theme.

    >>> palette(Theme.LIGHT).surface
    '#ffffff'
    """
    return _PALETTES[theme]


def template(theme: Theme, *, height_px: int, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Return the layout that all figures share; the page has the title, so there is none inside.

    Args:
        theme: Light or dark.
        height_px: Height; the width is that of the page.
        x: What this figure's x axis has of its own; `title` is a text with its unit.
        y: Likewise.
    """
    colours = palette(theme)
    return {
        "height": height_px,
        "autosize": True,
        "paper_bgcolor": colours.surface,
        "plot_bgcolor": colours.surface,
        "font": {
            "family": 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif',
            "size": FONT_PX,
            "color": colours.ink,
        },
        "margin": {"l": 64, "r": 24, "t": 64, "b": 56},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": colours.surface,
            "bordercolor": colours.soft,
            "font": {"size": FONT_PX, "color": colours.ink},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "top", "yref": "container"},
        "dragmode": False,
        "xaxis": _axis(x, colours),
        "yaxis": _axis(y, colours),
        "shapes": [],
        "annotations": [],
    }


def _axis(own: dict[str, Any], colours: Palette) -> dict[str, Any]:
    common = {
        "gridcolor": colours.line,
        "linecolor": colours.line,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": SMALL_FONT_PX},
    }
    title = {"text": own["title"], "font": {"size": FONT_PX, "color": colours.soft}, "standoff": 10}
    return common | own | {"title": title}


def line_at(value: float, colour: str, *, across: str = "x", dash: str = "dash", width: float = 1.5) -> dict[str, Any]:
    """Return a line through the whole figure.

    Args:
        value: Where, on the other axis.
        colour: Of the line.
        across: `x` for a horizontal line, `y` for a vertical one.
        dash: Plotly's name of a pattern.
        width: In pixels.
    """
    other = "y" if across == "x" else "x"
    ends = {f"{across}0": 0, f"{across}1": 1, f"{across}ref": "paper"}
    at = {f"{other}0": value, f"{other}1": value, f"{other}ref": other}
    return {"type": "line", "layer": "below", "line": {"color": colour, "dash": dash, "width": width}, **ends, **at}


def label_at(y: float, text: str, colour: str, surface: str, *, below: bool = False) -> dict[str, Any]:
    """Return a text beside a horizontal line, at the left end, where it is read first; curves show through it."""
    return {
        "text": text,
        "x": 0.005,
        "xref": "paper",
        "xanchor": "left",
        "y": y,
        "yref": "y",
        "yanchor": "top" if below else "bottom",
        "showarrow": False,
        "bgcolor": surface,
        "opacity": 0.85,
        "font": {"size": SMALL_FONT_PX, "color": colour},
    }
