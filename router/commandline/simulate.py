"""`touchstone simulate`: whole experiments on simulated outcomes, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
    show_json,
)

if TYPE_CHECKING:
    from experiments.config import Config, Experiment
    from experiments.planning.simulation import Outlook, Run
    from experiments.planning.traffic import Expectations


class _Limits(NamedTuple):
    runs: int
    seconds: float
    """Of wall-clock time, for all truths together."""
    units: int
    seed: int


def simulate(  # noqa: PLR0913  # the options of a command
    traffic: Annotated[Path, typer.Option("--traffic", "-t", help="What is expected: a TOML file.", dir_okay=False)],
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Which one, if there are several.")
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="What is assumed of the treatment; no loss, and one of the margin, unless given.",
            metavar="METRIC=SHARE",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="Experiments of each kind.", min=1, max=10_000)] = 20,
    seconds: Annotated[float, typer.Option(help="End after so long, with the runs that are done.", min=1)] = 60.0,
    units: Annotated[int, typer.Option(help="Of one experiment, at most.", min=100, max=1_000_000)] = 20_000,
    seed: Annotated[int, typer.Option(help="The same one gives the same runs.")] = 0,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Carry out experiments on simulated outcomes: how long they take, and how many are decided wrongly."""
    from router.planning import TrafficFileError, read_traffic  # noqa: PLC0415  # the command line starts fast

    loaded = load_or_fail(config, fail)
    chosen = _chosen(loaded, experiment)
    try:
        expected = read_traffic(traffic)
    except TrafficFileError as error:
        fail(str(error))
    found = _outlooks(loaded, chosen, expected, _losses(loss or []), _Limits(runs, seconds, units, seed))
    if json:
        show_json({"experiment": chosen.name, "simulated": True, "seed": seed, "units": units, "outlooks": found})
        return
    _show(chosen, found, _Limits(runs, seconds, units, seed))


def _chosen(config: Config, name: str | None) -> Experiment:
    if name is not None:
        return known_or_fail(config, name, fail)
    if len(config.experiments) != 1:
        there = ", ".join(sorted(config.experiments)) or "none"
        fail(f"--experiment is needed; there are: {there}")
    return next(iter(config.experiments.values()))


def _losses(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for one in given:
        name, _, share = one.partition("=")
        try:
            found[name] = float(share)
        except ValueError:
            fail(f"--loss {one}: METRIC=SHARE is expected, such as quality=0.01")
    return found


def _outlooks(
    config: Config, experiment: Experiment, expected: Expectations, losses: Mapping[str, float], limits: _Limits
) -> list[Outlook]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from experiments.planning.simulation import Simulation  # noqa: PLC0415

    backends = config.backends[experiment.control], config.backends[experiment.treatment]
    try:
        simulation = Simulation(experiment, backends, expected)
        truths = simulation.truths(losses)
    except ValueError as error:
        fail(f"{experiment.name} cannot be simulated:\n{error}")
    console = Console(stderr=True)
    columns = (TextColumn("simulating: {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    found: list[Outlook] = []
    begun = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        for number, truth in enumerate(truths, 1):
            task = bar.add_task(truth.name, total=limits.runs)
            done: list[Run] = []
            # Each truth has its part of the time; what one leaves is for the next.
            until = begun + limits.seconds * number / len(truths)
            for run in range(limits.runs):
                if time.monotonic() >= until and done:
                    break
                done.append(simulation.run(truth, limits.seed + run, limits.units))
                bar.advance(task)
            found.append(simulation.outlook(truth, done))
    return found


def _show(experiment: Experiment, found: Sequence[Outlook], limits: _Limits) -> None:
    out.print(f"{experiment.name}, SIMULATED: nothing was sent, and no user had any part in it", soft_wrap=True)
    for row in found:
        out.print(f"- {_said(row)}", soft_wrap=True)
    if any(row.runs < limits.runs for row in found):
        out.print(f"fewer than {limits.runs} runs: {limits.seconds:g} seconds were up (--seconds)", soft_wrap=True)
    if any(row.decisions.get("running") for row in found):
        out.print(f"undecided are those that {limits.units:,} units did not decide (--units)", soft_wrap=True)
    out.print(
        "assumed: what `touchstone plan` assumes; looks are spaced by 8 % of the units, so times are as coarse",
        soft_wrap=True,
    )


def _said(row: Outlook) -> str:
    words = {"promoted": "promoted", "rolled_back": "rolled back", "stopped": "stopped", "paused": "paused"}
    ends = [f"{row.decisions[phase]} {word}" for phase, word in words.items() if phase in row.decisions]
    ends += [f"{row.decisions['running']} undecided"] if "running" in row.decisions else []
    false = row.false_promotions + row.false_rollbacks
    return (
        f"{row.truth}: of {row.runs} runs {', '.join(ends)}; decided after {_days(row.median_days)} in one of two, "
        f"{_days(row.ninetieth_days)} in nine of ten; {false} decided wrongly ({100 * false / row.runs:.0f} %)"
    )


def _days(days: float | None) -> str:
    if days is None:
        return "no time that was simulated"
    return f"{days:.1f} days" if days >= 1 else f"{24 * days:.1f} hours"
