"""`touchstone labels import`: labels that people gave, back into the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from router.commandline.common import CONFIG, ConfigOption, JsonOption, fail, load_or_fail, reading, show_json

labels = typer.Typer(no_args_is_help=True, help="Labels of pairs.")
_MOST_TOLD = 20


@labels.callback()
def _group() -> None:
    """Labels of pairs."""


@labels.command("import")
def import_labels(
    file: Annotated[Path, typer.Argument(help="JSON lines with `pair`, `metric` and `label`.", dir_okay=False)],
    source: Annotated[str, typer.Option(help="Who says so.")] = "person",
    config: ConfigOption = CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is wrong with the file.")] = False,
    json: JsonOption = False,
) -> None:
    """Store what a file says of pairs. Lines that cannot be used are told, and the others are stored all the same.

    Exit code: 0, or 2 if a line could not be used. Importing a file twice changes nothing.
    """
    from experiments.pairs.labelling import read_labels  # noqa: PLC0415  # the command line starts fast
    from experiments.pairs.labels import Label, LabelStore  # noqa: PLC0415
    from router.pairs_view import safe  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    found: list[Label] = []
    flaws: list[str] = []
    empty = new = 0
    with reading(loaded, fail) as store:
        kept = LabelStore(store.engine)
        try:
            with file.open("rb") as lines:
                read = read_labels(lines, loaded.experiments, kept.experiments_of, source, time.time())
                for number, label, flaw in read:
                    if flaw:
                        flaws.append(f"{file}:{number}: {safe(flaw).plain}")
                    elif label is None:
                        empty += 1
                    else:
                        found.append(label)
        except OSError as error:
            fail(f"{file} cannot be read: {error.strerror}")
        if not dry_run:
            new = kept.add(found)
    if json:
        show_json({"labels": len(found), "new": new, "empty": empty, "refused": flaws, "dry_run": dry_run})
        raise typer.Exit(2 if flaws else 0)
    done = "nothing is stored: --dry-run" if dry_run else f"{new} new"
    typer.echo(f"{file}: {len(found)} labels, {done}; {empty} lines without a label, {len(flaws)} that cannot be used")
    if flaws:
        more = [f"and {len(flaws) - _MOST_TOLD} more"] if len(flaws) > _MOST_TOLD else []
        fail("\n".join(["lines that cannot be used:", *flaws[:_MOST_TOLD], *more]))
