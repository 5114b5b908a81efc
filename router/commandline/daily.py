"""`touchstone daily`: the quality of one day, per variant and slice; and send it on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

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
    from experiments.config import Config
    from experiments.scoring.daily import DailyQuality


def daily(
    experiment: Annotated[str | None, typer.Argument(help="One of them; all unless given.")] = None,
    day: Annotated[str | None, typer.Option(help="A day (UTC); today unless given.", metavar="YYYY-MM-DD")] = None,
    config: ConfigOption = CONFIG,
    *,
    send: Annotated[bool, typer.Option("--send", help="Send the day to MLflow or Weights & Biases, now.")] = False,
    json: JsonOption = False,
) -> None:
    """Compute a day's quality from its outcomes and show it: accuracy, macro-F1 and judge win rate, by slice."""
    from datetime import date  # noqa: PLC0415  # the command line starts fast

    from experiments.scoring.daily import DailyStore  # noqa: PLC0415
    from experiments.scoring.score_tasks import day_of  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    names = [known_or_fail(loaded, experiment, fail).name] if experiment is not None else list(loaded.experiments)
    try:
        chosen = day_of(time.time()) if day is None else date.fromisoformat(day).isoformat()
    except ValueError:
        fail(f"{day!r} is no day: YYYY-MM-DD")
    with reading(loaded, fail) as store:
        kept = DailyStore(store.engine)
        for name in names:
            kept.compute(name, chosen)
        rows = [row for name in names for row in kept.read(chosen, name)]
    if json:
        show_json(rows)
    else:
        _show(rows, chosen, loaded)
    if send:
        _send(loaded, rows)


def _show(rows: Sequence[DailyQuality], day: str, config: Config) -> None:
    if not rows:
        out.print(f"no outcome of {day} (UTC)")
        return
    for name, epoch in dict.fromkeys((row.experiment, row.epoch) for row in rows):
        table = Table(title=f"{name}, epoch {epoch}, {day} (UTC)", title_justify="left")
        for column in ("metric", "where", "variant", "pairs", "mean", "macro-F1", "judge win rate"):
            table.add_column(column, justify="left" if column in {"metric", "where", "variant"} else "right")
        for cells in _cells((row for row in rows if (row.experiment, row.epoch) == (name, epoch)), config):
            table.add_row(*cells)
        out.print(table)


def _cells(rows: Iterator[DailyQuality], config: Config) -> Iterator[tuple[str, ...]]:
    from experiments.explain import where  # noqa: PLC0415

    for row in rows:
        yield (
            row.metric,
            where(row.slice),
            row.variant,
            f"{row.pairs:,}",
            _mean(row, config),
            *("-" if value is None else f"{100 * value:.1f} %" for value in (row.macro_f1, row.win_rate)),
        )


def _mean(row: DailyQuality, config: Config) -> str:
    from experiments.model import CONTROL  # noqa: PLC0415
    from experiments.scoring.operational import UNITS, uncertainty_percent  # noqa: PLC0415

    if row.mean is None:
        return "-"
    unit = UNITS.get(row.metric)
    if unit is None:
        return f"{100 * row.mean:.1f} %"
    experiment = config.experiments[row.experiment]
    backend = config.backends[experiment.control if row.variant == CONTROL else experiment.treatment]
    uncertain = uncertainty_percent(row.metric, backend)
    return f"{row.mean:.4g} {unit}" + (f" (± {uncertain:g} %)" if uncertain is not None else "")


def _send(config: Config, rows: Sequence[DailyQuality]) -> None:
    from router.monitoring.report import reports  # noqa: PLC0415
    from router.monitoring.senders import SendError, senders  # noqa: PLC0415

    targets = senders(config)
    if not targets:
        fail("there is nowhere to send it: set mlflow_tracking_uri or wandb_project in [router.monitoring]")
    for target in targets if rows else ():
        try:
            target.send(reports(rows), threading.Event())
        except SendError as error:
            fail(f"{target.name}: {error}")
        typer.echo(f"sent to {target.name}", err=True)
