"""`touchstone rescore`: score the stored pairs anew where a scorer has changed."""

from __future__ import annotations

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
    from experiments.scoring.rescoring import Rescored


def rescore(
    experiment: str,
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="One of them; all with a scorer unless given.")
    ] = (None),
    epoch: Annotated[int | None, typer.Option(help="The newest unless given.", metavar="N")] = None,
    config: ConfigOption = CONFIG,
    *,
    labels: Annotated[bool, typer.Option("--labels", help="Let changed labels count: all pairs, anew.")] = False,
    json: JsonOption = False,
) -> None:
    """Give pairs that another version of a scorer scored an outcome of the present one.

    May run beside the controller, and may be stopped: begun again, it goes on with what is left.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from experiments.golden.sets import GoldenError  # noqa: PLC0415  # the command line starts fast
    from experiments.scorers import ScorerError  # noqa: PLC0415
    from experiments.scoring.rescoring import Rescored, Rescoring, RescoringError  # noqa: PLC0415
    from router.telemetry.logs import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    loaded = load_or_fail(config, fail)
    known_or_fail(loaded, experiment, fail)
    state = Rescored()
    with reading(loaded, fail) as store:
        try:
            work = Rescoring(loaded, store, experiment, metric, labels=labels, epoch=epoch)
        except (RescoringError, GoldenError, ScorerError) as error:
            fail(str(error))
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(experiment, total=None)
            for state in work.run():  # the last one is told
                bar.update(task, completed=state.read, total=state.total)
    if json:
        show_json(state)
        return
    out.print(f"{experiment}: {_told(state)}", soft_wrap=True)


def _told(state: Rescored) -> str:
    parts = [
        (state.rescored, "scored anew"),
        (state.asked, "in line for a scorer that asks another server"),
        (state.erased, "left as they were, since their texts are erased"),
        (state.not_applicable, "left as they were, since the metric does not apply to them any more"),
    ]
    told = [f"{count:,} {what}" for count, what in parts if count]
    return f"{state.total:,} outcomes; {', '.join(told) or 'all are of the present version'}"
