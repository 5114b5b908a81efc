"""The `touchstone` command: all commands put together.

Exit codes: 0 done; 1 the answer is "no" (a replay that differs); 2 the input or the surroundings are wrong, with one
clear line on stderr; 3 it cannot be told; 4 a fault of Touchstone itself; 130 ended by Ctrl-C. Never a traceback for
what a user can mend.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from router.commandline import acting, reading, serving
from router.commandline.analyze import analyze
from router.commandline.bench_pair import bench_pair
from router.commandline.convert import convert
from router.commandline.daily import daily
from router.commandline.demo import demo
from router.commandline.export import export
from router.commandline.feedback import feedback
from router.commandline.forget import forget
from router.commandline.golden import golden
from router.commandline.init import init
from router.commandline.judge import judge
from router.commandline.labels import labels
from router.commandline.pairs import pairs
from router.commandline.report import report
from router.commandline.rescore import rescore
from router.commandline.savings import savings
from router.commandline.simulate import simulate

_TRACEBACK = "TOUCHSTONE_TRACEBACK"
_PROCESSES = {"serve", "proxy", "record", "control"}
"""They run for months: what ends one of them must be told in full."""

PANELS: dict[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
    "Before the start": (
        ("init", init),
        ("check", serving.check),
        ("plan", serving.plan),
        ("simulate", simulate),
        ("bench-pair", bench_pair),
        ("convert", convert),
    ),
    "Run": (
        ("demo", demo),
        ("serve", serving.serve),
        ("proxy", serving.proxy),
        ("record", serving.record),
        ("control", serving.control),
    ),
    "Read": (
        ("status", reading.status),
        ("explain", reading.explain),
        ("pairs", pairs),
        ("daily", daily),
        ("savings", savings),
        ("judge", judge),
        ("replay", reading.replay),
        ("report", report),
        ("audit", reading.audit),
        ("export", export),
        ("analyze", analyze),
    ),
    "Act": (
        *((command, acting.acting(command)) for command in acting.COMMANDS),
        ("acknowledge", acting.acknowledge),
        ("token", acting.token),
        ("forget", forget),
    ),
    "Score and take in": (("rescore", rescore),),
}
"""Commands by family, as `--help` shows them."""

app = typer.Typer(
    help="Touchstone: is the cheaper model as good as the one your users trust?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for _panel, _commands in PANELS.items():
    for _name, _function in _commands:
        app.command(_name, help=acting.COMMANDS.get(_name), rich_help_panel=_panel)(_function)
for _name, _group in {"golden": golden, "labels": labels, "feedback": feedback}.items():
    app.add_typer(_group, name=_name, rich_help_panel="Score and take in")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except Exception as error:
        if _PROCESSES & set(sys.argv[1:2]) or os.environ.get(_TRACEBACK):
            raise
        said = " ".join(str(error).split())
        typer.echo(
            f"touchstone: a fault of Touchstone itself: {type(error).__name__}: {said} "
            f"(run it again with {_TRACEBACK}=1 to see where)",
            err=True,
        )
        sys.exit(4)
