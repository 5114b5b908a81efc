"""A report as one HTML file that stands alone: it asks for nothing, and its own policy forbids it to."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.figures import Theme
from analysis.figures.figure import CONFIG, Cell
from experiments.showing.figures import Section, ShownFigure
from router.reporting.content import Report
from router.reporting.methods import LIMITS, SIMULATED
from router.reporting.words import change, count_or_dash, moment, readable, replayed, split_rows

_MARKUP = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


class _Shown(NamedTuple):
    """A figure, as the template needs it."""

    id: str
    title: str
    alt: str
    height_px: int
    spec: Markup
    """JSON that no text can break out of."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def render_html(report: Report) -> str:
    """Write a report as a whole HTML file.

    Everything that people or models wrote is escaped; scripts are ours and Plotly's alone, each known by its hash.
    """
    plotly, draw = _plotly(), _draw()
    return (
        _templates()
        .get_template("report.html")
        .render(
            report=report,
            summary=report.summary,
            figures={section.value: [_shown(figure) for figure in report.of(section)] for section in Section},
            splits=list(split_rows(report.splits)),
            simulated=SIMULATED,
            limits=LIMITS,
            policy=_policy(plotly, draw),
            style=Markup(_file("report.css")),  # noqa: S704  # a file of this package
            plotly=plotly,
            draw=draw,
        )
    )


def _shown(figure: ShownFigure) -> _Shown:
    drawing = figure.drawn.figure(Theme.LIGHT)
    spec = msgspec.json.encode(drawing.payload()).decode().translate(_MARKUP)
    table = figure.drawn.table()
    return _Shown(
        id=figure.id,
        title=f"{figure.title[:1].upper()}{figure.title[1:]}",
        alt=figure.drawn.alt_text(),
        height_px=int(drawing.layout["height"]),
        spec=Markup(spec),  # noqa: S704  # its brackets are escapes of JSON by now
        columns=table.columns,
        rows=table.rows,
    )


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)
    # Charts write styles into the page; there is no address from which anything could be loaded.
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


@cache
def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  # 5 MB, for reports alone

    return Markup(get_plotlyjs())  # noqa: S704  # the script of the charts, from its own package


@cache
def _draw() -> Markup:
    config = msgspec.json.encode(CONFIG | {"plotlyServerURL": ""}).decode()
    return Markup(f"const CONFIG = {config};\n{_file('draw.js')}")  # noqa: S704  # a file of this package


def _file(name: str) -> str:
    return files("router.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("router.reporting"),
        autoescape=True,
        finalize=lambda value: readable(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment,
        "change": change,
        "replayed": replayed,
        "count_or_dash": count_or_dash,
    }
    return environment
