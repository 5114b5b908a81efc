"""Results as a notebook shows them: small tables in HTML, every text escaped, no script, no style of our own.

A notebook asks an object for `_repr_html_`; whoever has no notebook sees the usual `repr`. Tables are plain `<table>`s
with a caption and with headings that say what they head, so that a screen reader can follow them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any

_LONGEST_CELL = 300
"""Characters of a cell: a prompt may have thousands."""


class Rendered:
    """A frozen dataclass, or any record, that a notebook shows as a table of its fields."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return the record as a table: a row a field."""
        return record_html(type(self).__name__, _fields(self))


def _fields(record: Any) -> list[tuple[str, Any]]:
    names = [field.name for field in fields(record)] if is_dataclass(record) else []
    return [(name, getattr(record, name)) for name in names]


def record_html(caption: str, items: Iterable[tuple[str, Any]]) -> str:
    """Return names and values as a table of two columns; an empty tuple or text is left out.

    >>> record_html("Estimate", [("value", -0.0213), ("assumptions", ()), ("method", "a < b")])
    '<table><caption>Estimate</caption><tbody><tr><th scope="row">value</th><td>-0.0213</td></tr><tr><th \
scope="row">method</th><td>a &lt; b</td></tr></tbody></table>'
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(cell(value))}</td></tr>'
        for name, value in items
        if not (isinstance(value, tuple | str) and not value)
    )
    return f"<table><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table>"


def table_html(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> str:
    """Return rows as a table with a heading for each column.

    Args:
        caption: What it is.
        columns: Their names.
        rows: Each with a cell a column.
        note: Said below it.

    >>> table_html("pairs", ["value"], [[0.5], [None]], "2 rows")
    '<table><caption>pairs</caption><thead><tr><th scope="col">value</th></tr></thead><tbody><tr><td>0.5</td></tr>\
<tr><td></td></tr></tbody></table><p>2 rows</p>'
    """
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell(value))}</td>' for value in row)}</tr>" for row in rows)
    below = f"<p>{escape(note)}</p>" if note else ""
    head = f"<caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>{below}"


def cell(value: Any) -> str:
    """Return a value as a cell shows it: numbers with six digits, what is missing as nothing, long texts cut.

    >>> cell(0.123456789), cell(None), cell(float("inf")), cell(1234567), cell({"language": "hi"}), cell(("a", "b"))
    ('0.123457', '', 'inf', '1,234,567', 'language=hi', 'a, b')
    """
    if value is None:
        return ""
    if isinstance(value, float) and not isinstance(value, bool):
        return f"{value:.6g}" if math.isfinite(value) else str(float(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, dict):
        return shortened(", ".join(f"{key}={item}" for key, item in value.items()))
    if isinstance(value, tuple | list):
        return shortened(", ".join(cell(item) for item in value))
    return shortened(str(value))


def shortened(text: str, most: int = _LONGEST_CELL) -> str:
    """Cut a text that is too long for a cell.

    >>> shortened("a" * 6, most=4)
    'aaa…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
