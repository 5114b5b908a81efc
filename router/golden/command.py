"""`touchstone golden run`: the golden set by hand, with a progress bar; what it brings is stored as any other run."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from experiments.config.records import Config, Experiment
from experiments.golden.sets import GoldenError
from experiments.golden.store import GoldenRun as StoredRun
from experiments.golden.store import GuardStore
from experiments.golden.verdict import Comparison, GatePolicy, Result
from experiments.golden.words import summary
from experiments.store import Store
from router.golden.probing import ran
from router.golden.runs import GoldenRun, NoGoldenSetError, run_golden
from router.processes.secrets import SecretError
from router.upstream.upstream import CertificateError
from router.views import View

_UNUSABLE = (NoGoldenSetError, GoldenError, SecretError, CertificateError, ValueError)
_EXIT = {Result.PASSED: 0, Result.FAILED: 1, Result.CANNOT_TELL: 3}


def run_now(
    config: Config, experiment: Experiment, store: Store | None, fail: Callable[[str], NoReturn], *, quiet: bool
) -> tuple[View, int]:
    """Run an experiment's golden set; returns what to show, and the exit code: 0 passed, 1 failed, 3 cannot tell.

    Args:
        config: Where the backends are.
        experiment: Whose set.
        store: Where the run is kept, so that a gate that waits for it opens; None to keep nothing.
        fail: Called for what cannot be run at all.
        quiet: Show no progress.
    """
    guards, epoch, number = None, 0, 1
    if store is not None and (known := store.latest_epoch(experiment.name)) is not None:
        guards, epoch = GuardStore(store.engine), known.number
        number = len(guards.runs(experiment.name, epoch)) + 1
    policy = GatePolicy(alpha=experiment.gate.alpha, margin=experiment.gate.margin)
    try:
        run = _with_progress(config, experiment, policy, number, quiet=quiet)
    except _UNUSABLE as error:
        fail(" ".join(str(error).split()))
    if guards is not None:
        guards.add_run(
            StoredRun(
                experiment=experiment.name,
                epoch=epoch,
                number=number,
                at=time.time(),
                actor=f"cli:{getpass.getuser()}",
                **ran(run)._asdict(),
            )
        )
    return _shown(run), _EXIT[run.verdict.result]


def _with_progress(
    config: Config, experiment: Experiment, policy: GatePolicy, number: int, *, quiet: bool
) -> GoldenRun:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(f"golden set of {experiment.name}", total=None)

        def note(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return asyncio.run(run_golden(config, experiment, policy=policy, run_number=number, progress=note))


def _shown(run: GoldenRun) -> View:
    table = Table("items", "compared", "both right", "only control", "only treatment", "says", box=None)
    for row in (run.verdict.overall, *run.verdict.tags):
        table.add_row(*_cells(row))
    data: dict[str, Any] = {"summary": summary(run.verdict), "verdict": run.verdict, "items": run.results}
    return View(msgspec.to_builtins(data), [summary(run.verdict), "", table], ok=run.verdict.result is Result.PASSED)


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.tag or "all",
        str(row.n),
        str(row.both),
        str(row.losses),
        str(row.wins),
        row.result.value.replace("_", " "),
    )
