"""`touchstone golden run`: send the golden set to both variants, now."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    JsonOption,
    fail,
    known_or_fail,
    load_or_fail,
    show,
    store_if_there,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.store import Store
    from router.monitoring.senders import Sender

golden = typer.Typer(no_args_is_help=True, help="Golden sets.")


@golden.callback()
def _group() -> None:
    """Golden sets."""


@golden.command("run")
def golden_run(
    experiment: str,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
    keep: Annotated[bool, typer.Option(help="Keep the run in the store: a gate that waits for it opens.")] = True,
    send: Annotated[bool, typer.Option("--send", help="Send the run to MLflow or Weights & Biases, now.")] = False,
) -> None:
    """Send an experiment's golden set to both variants and judge it. Exit code: 0 passed, 1 failed, 3 cannot tell."""
    from router.golden.command import run_now  # noqa: PLC0415  # the command line starts fast
    from router.monitoring.senders import senders  # noqa: PLC0415
    from router.telemetry.logs import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    loaded = load_or_fail(config, fail)
    chosen = known_or_fail(loaded, experiment, fail)
    targets = senders(loaded) if send else []
    if send and not targets:
        fail("there is nowhere to send it: set mlflow_tracking_uri or wandb_project in [router.monitoring]")
    with store_if_there(loaded, fail, wanted=keep or send) as store:
        if send and (store is None or not keep or store.latest_epoch(chosen.name) is None):
            fail("--send sends what the store keeps: without --no-keep, and once the controller has begun an epoch")
        shown, code = run_now(loaded, chosen, store, fail, quiet=json)
        show(shown, json=json)
        if store is not None:
            _send(store, chosen.name, targets)
    raise typer.Exit(code)


def _send(store: Store, experiment: str, targets: Sequence[Sender]) -> None:
    """Send the newest run of the experiment's epoch."""
    from experiments.golden.store import GuardStore  # noqa: PLC0415
    from router.monitoring.runs import golden_report  # noqa: PLC0415
    from router.monitoring.senders import SendError  # noqa: PLC0415

    epoch = store.latest_epoch(experiment)
    runs = GuardStore(store.engine).runs(experiment, epoch.number) if targets and epoch is not None else []
    for target in targets if runs else ():
        try:
            target.send([golden_report(runs[-1])], threading.Event())
        except SendError as error:
            fail(f"{target.name}: {error}")
        typer.echo(f"sent to {target.name}", err=True)
