"""`touchstone forget`: one user's texts leave the store and the journal, and nothing leads back to their id.

Exit codes: 0 done; 1 done, but something of it may still lie in a file that is named; 2 it could not be done.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import CONFIG, ConfigOption, JsonOption, fail, load_or_fail, reading, show_json, user

if TYPE_CHECKING:
    from experiments.config import Config
    from experiments.privacy.forgetting import Forgotten
    from experiments.store import Store

_PATIENCE_S = 120.0
"""Twice the age at which a proxy closes a segment."""
_WAITING = "waiting until all that is in the journal is in the store; a proxy closes its file within a minute"


def forget(
    unit: Annotated[str, typer.Option("--unit", "-u", help="The user's id, as requests name it; written nowhere.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept, and must not name the user.")],
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="One of them; all unless given.")] = None,
    config: ConfigOption = CONFIG,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is still in the journal.", min=0)] = _PATIENCE_S,
    *,
    json: JsonOption = False,
) -> None:
    """Forget a user: texts erased, the key replaced by a random one. Figures and decisions stay as they are."""
    from router.telemetry.logs import log_to_stderr  # noqa: PLC0415  # the command line starts fast

    log_to_stderr()
    loaded = load_or_fail(config, fail)
    line = " ".join(reason.split())
    if not line or not unit:
        fail("the user's id and a reason are needed: --unit ID --reason TEXT")
    if unit in line:
        fail("the reason is kept: it must not contain the id")
    names = None if experiment is None else _named(loaded, experiment)
    with reading(loaded, fail) as store:
        typer.echo(_WAITING, err=json)
        left, done = _forget(loaded, store, unit, line, names, wait)
    if json:
        show_json({"exchanges": dict(done.exchanges), "not_loaded": left, "overwritten": done.overwritten})
    else:
        _tell(done)
    _warn(left, done)


def _tell(done: Forgotten) -> None:
    for name, exchanges in done.exchanges.items():
        typer.echo(f"{name}: {exchanges} exchanges are of nobody now, and have no texts")
    if not done.exchanges:
        typer.echo("nothing is stored of this user")


def _forget(
    config: Config, store: Store, unit: str, reason: str, names: list[str] | None, wait_s: float
) -> tuple[list[str], Forgotten]:
    from experiments.leadership import Leadership  # noqa: PLC0415
    from experiments.privacy.forgetting import Forgetting, settle_journal  # noqa: PLC0415

    forgetting = Forgetting(store, config.experiments.values())
    if names is not None and not any(map(forgetting.knows, names)):
        fail(f"there is no experiment {names[0]!r}, neither in {config.path} nor in the store")
    leadership = Leadership(config.router.database)
    try:
        left = settle_journal(config, store, leadership, wait_s)
        return left, forgetting.forget(unit, actor=user(), reason=reason, now=time.time(), experiments=names)
    finally:
        leadership.release()


def _named(config: Config, name: str) -> list[str]:
    """Return the experiments that a name stands for: one, or all that divide a group's users among them."""
    found = [e.name for e in config.experiments.values() if name in {e.name, e.cohort.group if e.cohort else e.name}]
    # One that is configured no more may still be stored.
    return found or [name]


def _warn(left: list[str], done: Forgotten) -> None:
    """Say where something may still lie, and exit with 1 if it does."""
    for name in left:
        typer.echo(f"touchstone: {name} is not loaded yet, and may hold texts: run this again later", err=True)
    if not done.overwritten:
        typer.echo(
            "touchstone: the database's log could not be emptied: a reader is in the way; run this again", err=True
        )
    if left or not done.overwritten:
        raise typer.Exit(1)
