"""`touchstone export`: what is stored of an experiment, as files, and as an artifact of MLflow or Weights & Biases."""

from __future__ import annotations

from datetime import UTC, datetime
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
    out,
    reading,
    show_json,
)

if TYPE_CHECKING:
    from experiments.exporting.export import Export
    from router.monitoring.artifacts import ArtifactShipment

_GIB = 2**30
_GIVEN_GIB = 5.0


def _print_schema(wanted: bool) -> None:  # noqa: FBT001  # the form of a callback
    """Print the schema and end: it needs no experiment and no configuration."""
    if not wanted:
        return
    from experiments.exporting.schema import schema  # noqa: PLC0415

    show_json(schema())
    raise typer.Exit


def export(  # noqa: PLR0913  # an option each
    experiment: str,
    folder: Annotated[Path, typer.Option("--out", "-o", help="A folder; what is in it is added to.", file_okay=False)],
    kind: Annotated[str, typer.Option("--format", help="The form of the files.", metavar="jsonl|parquet")] = "jsonl",
    since: Annotated[
        str | None, typer.Option(help="Only what came then or later (UTC).", metavar="YYYY-MM-DD[THH:MM]")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Then log it as an artifact there.", metavar="mlflow|wandb")
    ] = None,
    max_gib: Annotated[
        float, typer.Option(help="With --to: of more than so many GiB, nothing is logged.", min=0)
    ] = _GIVEN_GIB,
    config: ConfigOption = CONFIG,
    *,
    texts: Annotated[bool, typer.Option("--texts", help="With prompts and answers.")] = False,
    schema: Annotated[  # noqa: ARG001  # its callback does it
        bool,
        typer.Option(
            "--schema", help="Print tables and columns, as JSON, and end.", is_eager=True, callback=_print_schema
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write exchanges, outcomes, feedback, looks and transitions to files; done again, only what is new."""
    from experiments.exporting.export import Export, ExportError  # noqa: PLC0415  # the command line starts fast
    from router.monitoring.artifacts import note_of, target_of  # noqa: PLC0415
    from router.monitoring.senders import SendError  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    known_or_fail(loaded, experiment, fail)
    after = None if since is None else _moment(since)
    shipment: ArtifactShipment | None = None
    with reading(loaded, fail) as store:
        try:
            pack = None if to is None else target_of(loaded, to)
            work = Export(store.engine, experiment, folder, kind, with_texts=texts, since=after)
            _run(work)
            shipment = pack and pack(folder, work.manifest, note_of(store, work.manifest))
        except (ExportError, SendError) as error:
            fail(str(error))
        except OSError as error:
            fail(f"{folder} cannot be written: {error.strerror}")
    if shipment is not None:
        _send(shipment, max_gib)
    if json:
        show_json(work.manifest)
        return
    words = ((count, name.removesuffix("s") if count == 1 else name) for name, count in work.written.items())
    told = ", ".join(f"{count:,} {word}" for count, word in words if count) or "nothing new"
    out.print(f"{folder}: {told}", soft_wrap=True)
    if shipment is not None:
        out.print(f"logged to {to}: run {shipment.note.name}, {shipment.note.rows:,} rows", soft_wrap=True)


def _run(work: Export) -> None:
    """Write everything, with a bar of rows on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(work.manifest.experiment, total=work.total)
        for rows in work.run():
            bar.advance(task, rows)


def _send(shipment: ArtifactShipment, max_gib: float) -> None:
    """Log an export, or say that it is too large; the export itself is there in any case."""
    from router.monitoring.artifacts import send, size_bytes  # noqa: PLC0415
    from router.monitoring.senders import SendError  # noqa: PLC0415

    try:
        size = size_bytes(shipment)
        if size > max_gib * _GIB:
            found = f"it has {size / _GIB:.3g} GiB, more than --max-gib {max_gib:g}"
            fail(f"{shipment.folder} is written, and not logged: {found}")
        send(shipment)
    except OSError as error:
        fail(f"{error.filename} is named by the manifest, and cannot be read: {error.strerror}")
    except SendError as error:
        fail(f"{shipment.folder} is written, and not logged: {error}")


def _moment(text: str) -> float:
    """Return a day or a moment in seconds since the epoch; what names no zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no day and no moment: YYYY-MM-DD or YYYY-MM-DDTHH:MM")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
