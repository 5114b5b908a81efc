"""`status`, `explain`, `replay` and `audit`: how experiments stand, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    Fail,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    reading,
    show,
)

if TYPE_CHECKING:
    from experiments.config import Config
    from router.views import View


def status(
    config: ConfigOption = CONFIG,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show every change, until Ctrl-C; with --json, a line each.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Say how every experiment stands."""
    if not watch:
        _report(config, "status", None, json=json)
        return
    from router.commandline.watching import watch_status  # noqa: PLC0415  # the command line starts fast

    loaded = load_or_fail(config, fail)
    with reading(loaded, fail) as store:
        watch_status(store, loaded, json=json)


def explain(experiment: str, config: ConfigOption = CONFIG, *, json: JsonOption = False) -> None:
    """Show an experiment's evidence, its latest decision and the reasons."""
    _report(config, "explain", experiment, json=json)


def replay(experiment: str, config: ConfigOption = CONFIG, *, json: JsonOption = False) -> None:
    """Recompute every look of an experiment from the stored rows; exit code 1 if any differs."""
    if not _report(config, "replay", experiment, json=json):
        raise typer.Exit(1)


def _report(config: Path, name: str, experiment: str | None, *, json: bool) -> bool:
    from router import views  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    if experiment is not None:
        known_or_fail(loaded, experiment, fail)
    view: Callable[..., View] = getattr(views, name)
    with reading(loaded, fail) as store:
        shown = view(store, loaded, experiment) if experiment else view(store, loaded)
    show(shown, json=json)
    return shown.ok


def audit(
    experiment: Annotated[str | None, typer.Argument(help="One of them; all unless given.")] = None,
    config: ConfigOption = CONFIG,
    output: Annotated[str, typer.Option("--format", help="`json`, an object a line, or `csv`.", metavar="json|csv")] = (
        "json"
    ),
) -> None:
    """Write out who or what did what, when, why, and from which evidence."""
    for line in _audit_or_fail(load_or_fail(config, fail), experiment, output, fail):
        # As bytes: CSV has its own ends of lines.
        typer.echo(line.encode(), nl=False)


def _audit_or_fail(config: Config, name: str | None, kind: str, fail: Fail) -> Iterator[str]:
    """Yield the lines of the audit of one experiment or of all, each with its end of line."""
    from experiments.telling.audit_trail import UnknownExperimentError, audit_of, written  # noqa: PLC0415

    if kind not in {"json", "csv"}:
        fail(f"{kind!r} is no format: json or csv")
    with reading(config, fail) as store:
        try:
            yield from written(audit_of(store, name), "csv" if kind == "csv" else "json")
        except UnknownExperimentError as error:
            fail(str(error))
