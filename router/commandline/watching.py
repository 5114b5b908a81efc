"""`touchstone status --watch`: the table of all experiments, drawn again when something has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from experiments.config import Config
from experiments.store import Store
from experiments.tables import GATE, LOOK, ROUTE, TRANSITION
from router.commandline.common import out
from router.views import View, status

POLL_S = 1.0
_ENDS = "Ctrl-C ends"


def watch_status(store: Store, config: Config, *, json: bool, poll_s: float = POLL_S) -> None:
    """Show how experiments stand, and every change of it, until Ctrl-C.

    Args:
        store: Read once a `poll_s`, and little of it unless something has changed.
        config: Names the experiments.
        json: Print a line of JSON a change, instead of drawing a table.
        poll_s: Seconds between two glances at the store.
    """
    try:
        if json:
            _follow(store, config, lambda view, _note: print_line(view), poll_s)
            return
        # The alternate screen would take what was shown last away with it.
        with Live(console=out, auto_refresh=False) as live:
            _follow(store, config, lambda view, note: live.update(_drawn(view, note), refresh=True), poll_s)
    except KeyboardInterrupt:
        return


def _follow(store: Store, config: Config, draw: Callable[[View, str], None], poll_s: float) -> None:
    """Draw at once, and then whenever something changes, the store going away and coming back included."""
    seen, view, trouble = fingerprint(store), status(store, config), ""
    draw(view, f"as of {_now()}; {_ENDS}")
    while True:
        time.sleep(poll_s)
        try:
            latest = fingerprint(store)
            if latest != seen or trouble:
                seen, view, trouble = latest, status(store, config), ""
                draw(view, f"as of {_now()}; {_ENDS}")
        except OperationalError as error:
            # A store may be away for minutes; whoever watches must not take what stands there for the present.
            if not trouble:
                trouble = " ".join(str(error.orig).split())
                draw(view, f"STALE since {_now()}: the database cannot be read: {trouble}; {_ENDS}")


def print_line(view: View) -> None:
    """Print the data of a view on one line, at once, as whoever reads a pipe needs it."""
    print(msgspec.json.encode(view.data).decode(), flush=True)


def _drawn(view: View, note: str) -> RenderableType:
    return Group(*view.parts, Text(note, style="bold red" if note.startswith("STALE") else "dim"))


def fingerprint(store: Store) -> tuple[Any, ...]:
    """Return what changes whenever something changes that is shown; read by keys alone, and from small tables."""
    route = (ROUTE.c.experiment, ROUTE.c.epoch, ROUTE.c.stage, ROUTE.c.phase, ROUTE.c.split_basis_points)
    with store.engine.connect() as connection:
        newest = connection.execute(
            select(
                select(func.max(LOOK.c.seq)).scalar_subquery(),
                select(func.max(TRANSITION.c.seq)).scalar_subquery(),
                select(func.max(GATE.c.at)).scalar_subquery(),
            )
        ).one()
        routes = connection.execute(select(*route).order_by(ROUTE.c.experiment)).all()
    return (*newest, *routes)


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S UTC")
