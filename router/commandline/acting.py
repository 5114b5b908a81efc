"""`pause`, `resume`, `advance`, `promote`, `rollback`, `stop`, `acknowledge` and `token`: what changes something.

Each asks for a reason and is written down with it, in the name of the user of this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from router.commandline.common import (
    CONFIG,
    ConfigOption,
    Fail,
    JsonOption,
    ReasonOption,
    fail,
    known_or_fail,
    load_or_fail,
    out,
    reading,
    reason_or_fail,
    show_json,
    user,
)

if TYPE_CHECKING:
    from experiments.config import Config
    from experiments.stored import Transition

COMMANDS = {
    "pause": "Pause an experiment: control serves everyone until it is resumed.",
    "resume": "Go on with an experiment where it was paused.",
    "advance": "Go to the next stage of the ramp now, whatever the evidence says.",
    "rollback": "End an experiment: control serves everyone. Takes back a promotion, too.",
    "promote": "End an experiment: the treatment serves everyone.",
    "stop": "End an experiment without a winner: control serves everyone.",
}
"""What may be done to an experiment, and what it does."""


def acting(command: str) -> Callable[..., None]:
    """Return the function of a command that changes an experiment."""

    def carry_out(
        experiment: str, reason: ReasonOption, config: ConfigOption = CONFIG, *, json: JsonOption = False
    ) -> None:
        done = _carry_out(load_or_fail(config, fail), experiment, command, reason, fail)
        if json:
            show_json(done)
            return
        split = done.split_basis_points / 100
        stage = f", stage {done.to_stage + 1}" if done.from_stage != done.to_stage else ""
        out.print(f"{experiment}: {done.from_phase} -> {done.to_phase}{stage}, split {split:g} %", soft_wrap=True)

    return carry_out


def _carry_out(config: Config, name: str, command: str, reason: str, fail: Fail) -> Transition:
    """Do something to an experiment; returns what was stored of it."""
    from experiments.operating import Command, CommandRefusedError, operate  # noqa: PLC0415  # starts fast

    experiment = known_or_fail(config, name, fail)
    line = reason_or_fail(reason, fail)
    with reading(config, fail) as store:
        try:
            return operate(store, experiment, Command(command), actor=user(), reason=line, now=time.time())
        except CommandRefusedError as error:
            fail(str(error))


def acknowledge(
    key: str,
    reason: Annotated[str, typer.Option("--reason", "-r", help="What you say to it; it is kept.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Take an incident on: it is not told again, unless it happens again. The key stands in the notification."""
    from experiments.telling.incidents import UnknownIncidentError  # noqa: PLC0415
    from experiments.telling.incidents import acknowledge as take_on  # noqa: PLC0415

    loaded = load_or_fail(config, fail)
    line = reason_or_fail(reason, fail)
    with reading(loaded, fail) as store:
        try:
            take_on(store, key, actor=user(), reason=line, now=time.time())
        except UnknownIncidentError as error:
            fail(str(error))
    out.print(f"{key}: acknowledged, and told no more unless it happens again", soft_wrap=True)


def token(
    name: str,
    role: Annotated[str, typer.Option(help="`read`, or `operate`: read and act.", metavar="read|operate")],
    config: ConfigOption = CONFIG,
    days: Annotated[float | None, typer.Option(help="Good for so many days; for ever unless given.", min=0)] = None,
) -> None:
    """Make a bearer token of the admin port and print it, once: only its hash is kept."""
    typer.echo(_make_token(load_or_fail(config, fail), name, role, days, fail))


def _make_token(config: Config, name: str, role: str, days: float | None, fail: Fail) -> str:
    """Make a token of the admin port, good for so many days or for ever, and return it."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from router.admin.tokens import Role, TokenFileError, create_token  # noqa: PLC0415

    if config.router.admin_tokens is None:
        fail('the configuration names no file of tokens: set admin_tokens = "tokens" in [router]')
    if role not in set(Role):
        fail(f"{role!r} is no role: read or operate")
    try:
        expires = None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        return create_token(config.router.admin_tokens, name, Role(role), expires)
    except (TokenFileError, OverflowError) as error:
        fail(str(error))
