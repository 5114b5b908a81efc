"""A report as a file."""

from __future__ import annotations

from pathlib import Path

from experiments.config.records import Config
from experiments.showing.reader import SERIES_POINTS
from experiments.store import Store
from router.reporting.content import Report, gather
from router.reporting.html import render_html
from router.reporting.markdown import render_markdown

HTML = frozenset({".html", ".htm"})
MARKDOWN = frozenset({".md", ".markdown"})
_MARKDOWN_POINTS = 20
"""Looks in a table over time: a table is read by people, a figure has room for more."""


def write_report(
    store: Store, config: Config, name: str, out: Path, *, now: float, with_replay: bool = False
) -> Report:
    """Write a report; its form follows from the ending of the file's name.

    Args:
        store: Migrated.
        config: Has the experiment.
        name: Of the experiment.
        out: `.html` or `.md`; what is there is replaced, and only by a whole report.
        now: Wall-clock time in seconds since the epoch (UTC).
        with_replay: Compute every look of every epoch again, and say how that came out.

    Raises:
        ValueError: The name ends in neither.
        KeyError: There is no experiment of this name.
        OSError: The file cannot be written.
    """
    if out.suffix.lower() not in HTML | MARKDOWN:
        raise ValueError(f"out == {str(out)!r}, must end in .html or .md")
    as_html = out.suffix.lower() in HTML
    points = SERIES_POINTS if as_html else _MARKDOWN_POINTS
    found = gather(store, config, name, now=now, with_replay=with_replay, points=points)
    text = render_html(found) if as_html else render_markdown(found)
    part = out.with_name(f"{out.name}.part")
    try:
        # The hashes of the scripts hold for these very bytes.
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return found
