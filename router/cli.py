"""The `touchstone` command. Thin: every subcommand calls one function elsewhere and prints.

Exit codes: 0 done; 1 the answer is "no" (a replay that differs); 2 the input or the surroundings are wrong, with one
clear line on stderr. Never a traceback for what a user can mend.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:
    from router.views import View

app = typer.Typer(
    help="Touchstone: is the cheaper model as good as the one your users trust?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
# What users sent is shown as it is: square brackets in it are no markup.
_out = Console(highlight=False, markup=False)
_ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", dir_okay=False)]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SnapshotOption = Annotated[Path | None, typer.Option("--snapshot", hidden=True, help="A checked copy of the file.")]
_ParentOption = Annotated[bool, typer.Option("--exit-with-parent", hidden=True)]
_CONFIG = Path("config.toml")
_golden = typer.Typer(no_args_is_help=True, help="Golden sets.")
app.add_typer(_golden, name="golden")


def _fail(message: str) -> NoReturn:
    typer.echo(f"touchstone: {message}", err=True)
    raise typer.Exit(2)


@app.command()
def check(config: _ConfigOption = _CONFIG) -> None:
    """Check a configuration and say what it means; every error at once, with its line."""
    from router.commands import describe, load_or_fail  # noqa: PLC0415  # the command line starts fast
    from router.upstream.warmup import WarmupError, read_all  # noqa: PLC0415

    loaded = load_or_fail(config, _fail)
    try:
        read_all(loaded.backends)
    except WarmupError as error:
        _fail(str(error))
    for line in describe(loaded):
        _out.print(line, soft_wrap=True)


@app.command()
def plan(
    traffic: Annotated[Path, typer.Option("--traffic", "-t", help="What is expected: a TOML file.", dir_okay=False)],
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="One of them; all unless given.")] = None,
    config: _ConfigOption = _CONFIG,
    *,
    json: _JsonOption = False,
) -> None:
    """Say before the start how long an experiment will take, what it can see, what it costs, and what will not work."""
    from router.commands import load_or_fail, plan_or_fail  # noqa: PLC0415

    _show(plan_or_fail(load_or_fail(config, _fail), traffic, experiment, _fail), json=json)


@app.command()
def serve(config: _ConfigOption = _CONFIG, *, exit_with_parent: _ParentOption = False) -> None:
    """Run proxies and controller on this machine until stopped."""
    _watch_parent(exit_with_parent)
    from router.commands import load_or_fail  # noqa: PLC0415
    from router.processes.config_files import UnusableError, check_files  # noqa: PLC0415
    from router.processes.supervisor import Supervisor  # noqa: PLC0415
    from router.processes.workers import ListenError  # noqa: PLC0415

    loaded = load_or_fail(config, _fail)
    try:
        check_files(loaded)
        raise typer.Exit(Supervisor(loaded).run())
    except (ListenError, UnusableError) as error:
        _fail(str(error))


@app.command()
def proxy(
    config: _ConfigOption = _CONFIG,
    fd: Annotated[int | None, typer.Option(hidden=True, help="An inherited listening socket.")] = None,
    ready_fd: Annotated[int | None, typer.Option(hidden=True, help="Where to say that it serves.")] = None,
    snapshot: _SnapshotOption = None,
    *,
    exit_with_parent: _ParentOption = False,
) -> None:
    """Run one proxy process; several of them need no coordination."""
    from router.commands import load_or_fail, run_proxy_process  # noqa: PLC0415

    _watch_parent(exit_with_parent)
    run_proxy_process(load_or_fail(config, _fail, snapshot), fd, ready_fd, _fail)


@app.command()
def control(
    config: _ConfigOption = _CONFIG, snapshot: _SnapshotOption = None, *, exit_with_parent: _ParentOption = False
) -> None:
    """Run the controller: records, scores, evaluates and decides, and serves the admin API."""
    from router.commands import load_or_fail, run_control_process  # noqa: PLC0415

    _watch_parent(exit_with_parent)
    run_control_process(load_or_fail(config, _fail, snapshot), _fail)


@app.command()
def status(config: _ConfigOption = _CONFIG, *, json: _JsonOption = False) -> None:
    """Say how every experiment stands."""
    _report(config, "status", None, json=json)


@app.command()
def explain(experiment: str, config: _ConfigOption = _CONFIG, *, json: _JsonOption = False) -> None:
    """Show an experiment's evidence, its latest decision and the reasons."""
    _report(config, "explain", experiment, json=json)


@app.command()
def replay(experiment: str, config: _ConfigOption = _CONFIG, *, json: _JsonOption = False) -> None:
    """Recompute every look of an experiment from the stored rows; exit code 1 if any differs."""
    if not _report(config, "replay", experiment, json=json):
        raise typer.Exit(1)


@_golden.command("run")
def golden_run(
    experiment: str,
    config: _ConfigOption = _CONFIG,
    *,
    json: _JsonOption = False,
    keep: Annotated[bool, typer.Option(help="Keep the run in the store: a gate that waits for it opens.")] = True,
) -> None:
    """Send an experiment's golden set to both variants and judge it. Exit code: 0 passed, 1 failed, 3 cannot tell."""
    from router.commands import known_or_fail, load_or_fail, store_if_there  # noqa: PLC0415
    from router.golden.command import run_now  # noqa: PLC0415
    from router.telemetry.logs import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    loaded = load_or_fail(config, _fail)
    chosen = known_or_fail(loaded, experiment, _fail)
    with store_if_there(loaded, _fail, wanted=keep) as store:
        shown, code = run_now(loaded, chosen, store, _fail, quiet=json)
    if json:
        typer.echo(shown.json())
    else:
        for part in shown.parts:
            _out.print(part, soft_wrap=isinstance(part, str))
    raise typer.Exit(code)


def _command(command: str, says: str) -> None:
    """Add one command that changes an experiment."""

    def carry_out(
        experiment: str,
        reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept with the change.")],
        config: _ConfigOption = _CONFIG,
    ) -> None:
        from router.commands import carry_out_command, load_or_fail  # noqa: PLC0415

        _out.print(carry_out_command(load_or_fail(config, _fail), experiment, command, reason, _fail), soft_wrap=True)

    app.command(command, help=says)(carry_out)


_command("pause", "Pause an experiment: control serves everyone until it is resumed.")
_command("resume", "Go on with an experiment where it was paused.")
_command("rollback", "End an experiment: control serves everyone. Takes back a promotion, too.")
_command("promote", "End an experiment: the treatment serves everyone.")
_command("stop", "End an experiment without a winner: control serves everyone.")


@app.command()
def acknowledge(
    key: str,
    reason: Annotated[str, typer.Option("--reason", "-r", help="What you say to it; it is kept.")],
    config: _ConfigOption = _CONFIG,
) -> None:
    """Take an incident on: it is not told again, unless it happens again. The key stands in the notification."""
    from router.commands import acknowledge_or_fail, load_or_fail  # noqa: PLC0415

    _out.print(acknowledge_or_fail(load_or_fail(config, _fail), key, reason, _fail), soft_wrap=True)


@app.command()
def audit(
    experiment: Annotated[str | None, typer.Argument(help="One of them; all unless given.")] = None,
    config: _ConfigOption = _CONFIG,
    output: Annotated[str, typer.Option("--format", help="`json`, an object a line, or `csv`.", metavar="json|csv")] = (
        "json"
    ),
) -> None:
    """Write out who or what did what, when, why, and from which evidence."""
    from router.commands import audit_or_fail, load_or_fail  # noqa: PLC0415

    for line in audit_or_fail(load_or_fail(config, _fail), experiment, output, _fail):
        # As bytes: CSV has its own ends of lines.
        typer.echo(line.encode(), nl=False)


@app.command()
def token(
    name: str,
    role: Annotated[str, typer.Option(help="`read`, or `operate`: read and act.", metavar="read|operate")],
    config: _ConfigOption = _CONFIG,
    days: Annotated[float | None, typer.Option(help="Good for so many days; for ever unless given.", min=0)] = None,
) -> None:
    """Make a bearer token of the admin port and print it, once: only its hash is kept."""
    from router.commands import load_or_fail, make_token  # noqa: PLC0415

    typer.echo(make_token(load_or_fail(config, _fail), name, role, days, _fail))


def _report(config: Path, name: str, experiment: str | None, *, json: bool) -> bool:
    from router import views  # noqa: PLC0415
    from router.commands import known_or_fail, load_or_fail, reading  # noqa: PLC0415

    loaded = load_or_fail(config, _fail)
    if experiment is not None:
        known_or_fail(loaded, experiment, _fail)
    view: Callable[..., views.View] = getattr(views, name)
    with reading(loaded, _fail) as store:
        shown = view(store, loaded, experiment) if experiment else view(store, loaded)
    _show(shown, json=json)
    return shown.ok


def _show(shown: View, *, json: bool) -> None:
    if json:
        typer.echo(shown.json())
        return
    for part in shown.parts:
        _out.print(part, soft_wrap=isinstance(part, str))


def _watch_parent(enabled: bool) -> None:  # noqa: FBT001
    """End this process when its parent does, however that ends: the parent holds the other end of our stdin."""
    if not enabled:
        return

    def wait() -> None:
        # The raw descriptor: a thread that waits inside `sys.stdin` would block the interpreter's end.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="watch-parent", daemon=True).start()


def main() -> None:
    """Entry point of the console script."""
    app()
