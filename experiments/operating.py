"""What a person may do to an experiment: pause, resume, advance, roll back, promote, stop. Pure rules, and storing.

A person's word goes before the policy, never before the record: each command is a transition with its actor and reason,
in one transaction with the route that it makes. It is refused if the experiment has moved on meanwhile.
"""

from __future__ import annotations

from enum import StrEnum

from experiments.config.records import Experiment
from experiments.lifecycle import basis_points, is_last_stage, moved, promoted, transition
from experiments.model import ENDED, Phase, Route
from experiments.store import Store
from experiments.stored import RouteState, Transition


class Command(StrEnum):
    """What may be asked for."""

    PAUSE = "pause"
    """Control serves everyone until somebody resumes."""
    RESUME = "resume"
    """Go on with the stage at which it was paused."""
    ADVANCE = "advance"
    """The next stage, now."""
    ROLLBACK = "rollback"
    """End it: control serves everyone."""
    PROMOTE = "promote"
    """End it: the treatment serves everyone."""
    STOP = "stop"
    """End it without a winner: control serves everyone."""


class CommandRefusedError(Exception):
    """The command makes no sense right now; the message says why."""


def obey(experiment: Experiment, route: Route, command: Command) -> Route:
    """Return the route that a command makes.

    Raises:
        CommandRefusedError: The experiment is in a phase in which the command means nothing.
    """
    phase = route.phase
    if command is Command.RESUME:
        if phase is not Phase.PAUSED:
            raise CommandRefusedError(f"{experiment.name} is {_said(phase)}: only a paused experiment is resumed")
        split = basis_points(experiment.ramp[min(route.stage, len(experiment.ramp) - 1)])
        return moved(route, phase=Phase.RUNNING, split=split, mirror=basis_points(experiment.mirror_percent))
    if command is Command.ADVANCE:
        return _advanced(experiment, route)
    if command is Command.PAUSE and phase is not Phase.RUNNING:
        raise CommandRefusedError(f"{experiment.name} is {_said(phase)}: only a running experiment is paused")
    if phase in ENDED and not (phase is Phase.PROMOTED and command is Command.ROLLBACK):
        raise CommandRefusedError(
            f"{experiment.name} is {_said(phase)}: it has ended; change its configuration to retry"
        )
    if command is Command.PROMOTE:
        return promoted(experiment, route)
    ends = {Command.PAUSE: Phase.PAUSED, Command.ROLLBACK: Phase.ROLLED_BACK, Command.STOP: Phase.STOPPED}
    return moved(route, phase=ends[command], split=0, mirror=0)


def _advanced(experiment: Experiment, route: Route) -> Route:
    if route.phase is not Phase.RUNNING:
        raise CommandRefusedError(f"{experiment.name} is {_said(route.phase)}: only a running experiment is advanced")
    if is_last_stage(experiment, route.stage):
        raise CommandRefusedError(f"{experiment.name} is at its last stage: what follows is a promotion")
    stage = route.stage + 1
    return moved(route, stage=stage, split=basis_points(experiment.ramp[stage]))


def _said(phase: Phase) -> str:
    return phase.value.replace("_", " ")


def operate(
    store: Store, experiment: Experiment, command: Command, *, actor: str, reason: str, now: float
) -> Transition:
    """Carry out a command; returns the transition that was stored.

    Args:
        store: Where the route is.
        experiment: Which one.
        command: What to do.
        actor: Who asks.
        reason: Why, in a person's words.
        now: Wall-clock time in seconds since the epoch (UTC).

    Raises:
        CommandRefusedError: It makes no sense right now, or the experiment has moved on just now.
    """
    state = store.route_states().get(experiment.name)
    if state is None:
        raise CommandRefusedError(f"{experiment.name} has not begun yet: is `touchstone serve` running?")
    route = obey(experiment, state.route, command)
    done = transition(state.route, route, at=now, actor=actor, reason=reason)
    following = RouteState(
        route=route,
        epoch_started_at=state.epoch_started_at,
        stage_started_at=now if command is Command.ADVANCE else state.stage_started_at,
    )
    if not store.move(state.route, done, following):
        raise CommandRefusedError(f"{experiment.name} has moved on just now: look at it again")
    return done
