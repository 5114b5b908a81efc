"""Draws the error rates of the study as SVG: a mark for each method, a line for each situation. Pure: text out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from analysis.calibrate.study import Method, PartResult, Row, ScenarioResult

_WIDTH, _LEFT, _RIGHT, _TOP, _STEP = 980, 390, 30, 84, 22
_LEAST, _MOST = 0.0002, 1.0
"""Ends of the logarithmic axis; smaller rates are drawn at its left end."""
_TICKS = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0)
_COLOURS: dict[Method, str] = {"product": "#0b5cad", "naive": "#c0392b", "peer": "#b07d00"}
_LEGEND: dict[Method, str] = {
    "product": "this product, with 95 % limits",
    "naive": "fixed-sample test or posterior",
    "peer": "another sequential method",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One situation: the figures that share a nominal error."""

    label: str
    nominal: float
    rows: tuple[Row, ...]


def draw(results: Sequence[ScenarioResult]) -> str:
    """Return the figure: false alarm rates on a logarithmic axis, one line per situation with an error bar."""
    lines = list(_lines(results))
    height = _TOP + _STEP * len(lines) + 48
    body = [*_legend(), *_axis(len(lines))]
    for index, line in enumerate(lines):
        body += _line(line, _TOP + _STEP * index + _STEP / 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="False alarm rates by situation">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _lines(results: Sequence[ScenarioResult]) -> Iterator[Line]:
    for result in results:
        for part in result.parts:
            nominal = _nominal(part)
            if nominal is not None:
                rows = tuple(row for row in part.rows if _is_error_rate(row))
                yield Line(f"{result.scenario.number}. {part.name}", nominal, rows)


def _is_error_rate(row: Row) -> bool:
    """Return whether a row is a false alarm rate: of the product under an error bar, or of another method."""
    measure = row.measure
    judged = measure.bar is not None and measure.bar.rule == "error"
    return measure.unit == "%" and (judged or measure.method != "product")


def _nominal(part: PartResult) -> float | None:
    """Return the nominal error of a part: the largest of its error bars."""
    bars = [row.measure.bar.value for row in part.rows if row.measure.bar and row.measure.bar.rule == "error"]
    return max(bars, default=None)


def _x(value: float) -> float:
    share = math.log(max(value, _LEAST) / _LEAST) / math.log(_MOST / _LEAST)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _legend() -> Iterator[str]:
    yield f'<text x="16" y="24" font-size="15" font-weight="600">{escape(_TITLE)}</text>'
    x = 16
    for method, text in _LEGEND.items():
        yield _marker(method, x + 6, 48, text)
        yield f'<text x="{x + 18}" y="52">{escape(text)}</text>'
        x += 30 + round(6.2 * len(text))
    yield f'<line x1="{x + 6}" x2="{x + 6}" y1="40" y2="56" stroke="#222222" stroke-width="2"/>'
    yield f'<text x="{x + 14}" y="52">nominal error</text>'


_TITLE = "How often a method raises a false alarm, looked at as often as the controller looks"


def _axis(lines: int) -> Iterator[str]:
    bottom = _TOP + _STEP * lines
    for tick in _TICKS:
        x = _x(tick)
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#e3e3e3"/>'
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{100 * tick:g} %</text>'
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">false alarms (logarithmic axis)</text>'


def _line(line: Line, y: float) -> Iterator[str]:
    yield f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(line.label)}</text>'
    yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#f0f0f0"/>'
    nominal = _x(line.nominal)
    yield f'<line x1="{nominal}" x2="{nominal}" y1="{y - 8}" y2="{y + 8}" stroke="#222222" stroke-width="2"/>'
    # The product last, so that no other mark hides it.
    for row in sorted(line.rows, key=lambda row: row.measure.method == "product"):
        figure = row.figure
        if row.measure.method == "product":
            yield (
                f'<line x1="{_x(figure.lower)}" x2="{_x(figure.upper)}" y1="{y}" y2="{y}" '
                f'stroke="{_COLOURS["product"]}" stroke-width="2"/>'
            )
        yield _marker(row.measure.method, _x(figure.value), y, f"{row.measure.label}: {100 * figure.value:.2f} %")


def _marker(method: Method, x: float, y: float, title: str) -> str:
    """Return a mark that differs in shape as well as in colour."""
    colour, text = _COLOURS[method], f"<title>{escape(title)}</title>"
    if method == "product":
        return f'<circle cx="{x}" cy="{y}" r="4.5" fill="{colour}">{text}</circle>'
    if method == "naive":
        path = f"M{x - 4} {y - 4}L{x + 4} {y + 4}M{x - 4} {y + 4}L{x + 4} {y - 4}"
        return f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none">{text}</path>'
    path = f"M{x} {y - 5}L{x + 5} {y}L{x} {y + 5}L{x - 5} {y}Z"
    return f'<path d="{path}" fill="#ffffff" stroke="{colour}" stroke-width="1.6">{text}</path>'
