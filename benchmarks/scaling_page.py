"""Writes what `benchmarks.propagation` and `benchmarks.scaling` found into docs/scaling.md, each between its marks."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"


def put(section: str, part: str, page: Path = PAGE) -> None:
    """Replace one generated section of the page.

    Args:
        section: As its marks name it: `<!-- NAME: begin -->` and `<!-- NAME: end -->`.
        part: Markdown.
        page: The file.

    Raises:
        ValueError: The page has no such marks.
    """
    begin, end = f"<!-- {section}: begin -->\n", f"<!-- {section}: end -->\n"
    text = page.read_text(encoding="utf-8")
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"{page} has no section between {begin.strip()} and {end.strip()}")
    page.write_text(before + begin + part + end + after, encoding="utf-8")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Return a Markdown table.

    Args:
        heads: Of the columns.
        rows: Cells.
        words: So many columns at the left are words; all others are figures, and stand at the right.
    """
    lines = [heads, ["---"] * words + ["---:"] * (len(heads) - words), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def where_and_when(load_before: float) -> str:
    """Return on what was measured, when, and how busy the machine was with other things."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}; the machine's load "
        f"was {load_before:.1f} before and {load:.1f} at the end"
    )
