"""Runs the calibration study and writes its page and figure.

    python -m analysis.calibrate            # the full study: writes docs/calibration.md and its figure
    python -m analysis.calibrate --quick    # fewer replicates, to see that all works: writes nothing unless told

Exit status 1 if a bar is missed. The same seed and number of replicates give the same figures, with any number of jobs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from analysis.calibrate.figure import draw
from analysis.calibrate.report import Settings, render
from analysis.calibrate.runner import run_study, tasks_of
from analysis.calibrate.scenarios import SCENARIOS
from analysis.calibrate.study import Scenario, ScenarioResult

_FULL, _QUICK = 4000, 300
_SEED = 20_260_901
_PAGE = Path("docs/calibration.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parser().parse_args(arguments)
    replicates = options.replicates or (_QUICK if options.quick else _FULL)
    chosen = [scenario for scenario in SCENARIOS if options.scenario is None or scenario.number in options.scenario]
    console = Console(stderr=True)
    results = _run(chosen, replicates, options.seed, options.jobs, console)
    page = options.output or (_PAGE if not options.quick and chosen == list(SCENARIOS) else None)
    if page:
        _write(results, page, replicates, options.seed)
    console.print(_table(results))
    return 0 if all(result.passed for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis.calibrate", description="The calibration study.")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK} replicates; writes nothing without --output")
    parser.add_argument("--replicates", type=_positive, help=f"replicates of each part (default: {_FULL})")
    parser.add_argument("--seed", type=int, default=_SEED, help="of all draws (default: %(default)s)")
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--output", type=Path, help=f"page to write (default of the full study: {_PAGE})")
    numbers = [scenario.number for scenario in SCENARIOS]
    parser.add_argument("--scenario", type=int, action="append", choices=numbers, help="only this; may be repeated")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def _run(chosen: Sequence[Scenario], replicates: int, seed: int, jobs: int, console: Console) -> list[ScenarioResult]:
    # Processes share the cores by replicates; a pool of BLAS threads in each would only be in the way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("Blocks of replicates", total=len(tasks_of(chosen, replicates)))
        return run_study(chosen, replicates, seed, jobs, lambda _task: progress.advance(bar))


def _write(results: Sequence[ScenarioResult], page: Path, replicates: int, seed: int) -> None:
    figure = page.parent / "images" / f"{page.stem}.svg"
    figure.parent.mkdir(parents=True, exist_ok=True)
    command = f"python -m analysis.calibrate --replicates {replicates} --seed {seed}"
    settings = Settings(seed, replicates, command, figure.relative_to(page.parent).as_posix())
    page.write_text(render(results, settings), encoding="utf-8")
    figure.write_text(draw(results), encoding="utf-8")


def _table(results: Sequence[ScenarioResult]) -> Table:
    table = Table("#", "scenario", "bars reached", title="Calibration")
    for result in results:
        verdicts = [row.passed for row in result.rows if row.passed is not None]
        style = "" if result.passed else "bold red"
        reached = f"{sum(verdicts)} of {len(verdicts)}"
        table.add_row(str(result.scenario.number), result.scenario.title, reached, style=style)
    return table


if __name__ == "__main__":
    sys.exit(main())
