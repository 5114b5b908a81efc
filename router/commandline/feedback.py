"""`touchstone feedback import`: outcomes from a file. Thin: reads the options, shows a bar, prints what became of it.

Exit codes: 0 every line is in the store; 1 some were refused, the others are in; 2 the file, the configuration or the
store is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from experiments.config import Experiment
    from experiments.feedback.importing import Imported
    from experiments.store import Store

feedback = typer.Typer(no_args_is_help=True, help="Outcomes from outside.")


@feedback.callback()
def _group() -> None:
    """Outcomes from outside."""


@feedback.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSON lines.", dir_okay=False)],
    experiment: Annotated[str, typer.Option("--experiment", "-e", help="Of which the answers are.")],
    source: Annotated[str, typer.Option("--source", "-s", help="Who says it: kept with each.")] = "import",
    config: ConfigOption = CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and write nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Take feedback and late labels from a file; doing it again changes nothing. Exit code 1: some are refused."""
    from experiments.feedback.rules import name_refusal  # noqa: PLC0415  # the command line starts fast

    loaded = load_or_fail(config, fail)
    chosen = known_or_fail(loaded, experiment, fail)
    if not source.strip():
        fail("--source must not be empty")
    if (refusal := name_refusal("source", source)) is not None:
        fail(f"--source: {refusal.detail}")
    with reading(loaded, fail) as store:
        done = _import(file, store, chosen, source, dry_run=dry_run)
    if json:
        show_json(done)
    else:
        for line in _report(file, done, dry_run=dry_run):
            typer.echo(line)
    raise typer.Exit(1 if done.refused else 0)


def _import(path: Path, store: Store, experiment: Experiment, source: str, *, dry_run: bool) -> Imported:
    from experiments.feedback.file import FeedbackFileError, read_lines  # noqa: PLC0415
    from experiments.feedback.importing import FeedbackImport  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            written_at = path.stat().st_mtime
            work = FeedbackImport(store, experiment, source, now=time.time(), written_at=written_at, dry_run=dry_run)
            lines = read_lines(file, path, work.texts)
            return _with_bar(path, lambda note: work.run(lines, lambda: note(file.tell())))
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    except FeedbackFileError as error:
        fail(str(error))


def _with_bar(path: Path, work: Callable[[Callable[[int], None]], Imported]) -> Imported:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("importing"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("import", total=max(1, path.stat().st_size))
        return work(lambda read_bytes: bar.update(task, completed=read_bytes))


def _report(path: Path, done: Imported, *, dry_run: bool) -> list[str]:
    """Say what became of the lines; each refused one by its number, as far as they are kept."""
    lines = [f"{path}:{number}: {_printable(why)}" for number, why in done.faults]
    if (more := done.refused - len(done.faults)) > 0:
        lines.append(f"... and {more} more lines that are refused")
    verb = "would be stored" if dry_run else "stored"
    lines.append(
        f"{done.lines} lines: {done.stored} feedback and {done.labels} right answers {verb}, "
        f"{done.known} there already, {done.refused} refused"
    )
    return lines


def _printable(text: str) -> str:
    """Return a text of a file without what a terminal would obey."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
