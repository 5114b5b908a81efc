"""`touchstone report`: one experiment as one file, for a decision meeting and for an auditor.

Exit codes: 0 written; 1 written, and a look that was recomputed differs from what is stored; 2 it cannot be written.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from router.reporting.content import Report


def report(
    experiment: str,
    file: Annotated[
        Path, typer.Option("--out", "-o", help="The file: `.html` stands alone and prints well, `.md` has tables.")
    ],
    config: ConfigOption = CONFIG,
    *,
    replay: Annotated[
        bool, typer.Option("--replay", help="Recompute every look first, and say in the report how that came out.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a report: the verdict, the figures, the methods, the configuration, and everything that happened."""
    from router.pairs_view import safe  # noqa: PLC0415  # the command line starts fast
    from router.reporting.writing import HTML, MARKDOWN, write_report  # noqa: PLC0415

    if file.suffix.lower() not in HTML | MARKDOWN:
        fail(f"{file}: must end in .html or .md; for PDF, print the .html file from a browser")
    loaded = load_or_fail(config, fail)
    name = known_or_fail(loaded, experiment, fail).name
    with reading(loaded, fail) as store:
        try:
            found = write_report(store, loaded, name, file, now=time.time(), with_replay=replay)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")
    if json:
        show_json(_told(file, found))
    else:
        out.print(safe(f"{file}: {found.summary.verdict}"), soft_wrap=True)
    if found.replay_differs:
        typer.echo("touchstone: looks differ from what is stored; the report says how many", err=True)
        raise typer.Exit(1)


def _told(file: Path, found: Report) -> dict[str, Any]:
    replayed = None if found.replayed is None else [epoch._asdict() for epoch in found.replayed]
    summary = found.summary
    return {
        "file": str(file),
        "experiment": summary.name,
        "phase": summary.phase,
        "verdict": summary.verdict,
        "replayed": replayed,
    }
