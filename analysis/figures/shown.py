"""A figure for a notebook or a slide: with a title that says what was found, and a line that says what it rests on."""

from __future__ import annotations

from typing import Any

from analysis.figures.figure import Drawn, said
from analysis.figures.theme import FONT_PX, SMALL_FONT_PX, Theme, palette

_TITLE_PX = 16
_LINE_PX = 22
_ABOVE_PX = 20
"""Between the titles and the drawing: decisions are marked there."""
_AXIS_PX = 62
"""What ticks and title of the x axis take below the drawing; each further line of the title takes `_LINE_PX`."""
_TOOLS = (
    "toimage",
    "zoom",
    "pan",
    "select",
    "lasso",
    "zoomin",
    "zoomout",
    "autoscale",
    "resetscale",
    "sendcharttocloud",
)


def shown(drawn: Drawn, title: str, rests_on: str = "", theme: Theme = Theme.LIGHT) -> Any:
    """Return a record of this package as Plotly's own figure, which notebooks show by themselves.

    Args:
        drawn: Any record of this package.
        title: The finding, as a sentence.
        rests_on: Where the data are from: `simulated: 4,000 experiments`, or the name of a run.
        theme: Light or dark.

    >>> from analysis.figures import RampOverTime, RampStep
    >>> shown(RampOverTime((RampStep(0.0, 5.0),), 60.0), "It went well", "a made-up ramp").layout.title.text
    'It went well'
    """
    from plotly.graph_objects import Figure as PlotlyFigure  # noqa: PLC0415  # takes long to import

    figure = drawn.figure(theme)
    made = PlotlyFigure(list(figure.data), figure.layout)
    made.update_layout(meta={"alt": drawn.alt_text()})
    return titled(made, title, rests_on, theme)


def titled(figure: Any, title: str, rests_on: str = "", theme: Theme = Theme.LIGHT) -> Any:
    """Return one of Plotly's figures that has this package's layout, with title and origin above it.

    Args:
        figure: Changed in place.
        title: As in `shown`.
        rests_on: Likewise.
        theme: The one in which it was drawn.
    """
    colours = palette(theme)
    top = _TITLE_PX + _LINE_PX * (2 if rests_on else 1) + _ABOVE_PX
    layout = figure.layout
    drawn_px = layout.height - layout.margin.t - layout.margin.b
    below = _AXIS_PX + _LINE_PX * (layout.xaxis.title.text.count("<br>") + (layout.xaxis.type == "date"))
    figure.update_layout(
        title={
            "text": said(title),
            "font": {"size": _TITLE_PX, "color": colours.ink},
            "subtitle": {"text": said(rests_on), "font": {"size": SMALL_FONT_PX, "color": colours.soft}},
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": FONT_PX},
        },
        # Below the drawing, where it can take as many lines as it needs: above it, it would lie on the title.
        legend={"yref": "paper", "y": -below / drawn_px, "yanchor": "top"},
        showlegend=True,
        margin={"t": top, "b": below + _LINE_PX},
        # Its tools would lie on the title, and one of them sends the data elsewhere.
        modebar={"remove": _TOOLS},
        height=drawn_px + top + below + _LINE_PX,
    )
    return figure
