"""What a decision does to an experiment's route. Pure: a route and a decision in, the next route out."""

from __future__ import annotations

from experiments.config.records import Experiment
from experiments.evidence import Action, Decision
from experiments.model import Phase, Route
from experiments.stored import Transition

_FULL = 10_000
_HALF = 5_000
Exposed = tuple[tuple[str, int], ...]
"""Earlier attempts that have served users: each a salt, and the widest split in basis points."""


def basis_points(percent: float) -> int:
    """Turn percent into basis points.

    >>> basis_points(2.5)
    250
    """
    return round(percent * 100)


def wait(experiment: Experiment, epoch: int, exposed: Exposed = ()) -> Route:
    """Return the route of an experiment that waits at its gate: control serves everyone."""
    return Route(
        experiment=experiment.name,
        epoch=epoch,
        stage=0,
        phase=Phase.GATED,
        split_basis_points=0,
        mirror_basis_points=0,
        salt=experiment.salt,
        exposed=exposed,
    )


def compare_control_with_itself(experiment: Experiment, waiting: Route) -> Route:
    """Return the route of an A/A run: half of the users are assigned to the treatment, and control answers them all.

    That it does so lies in the phase: while a route is gated, the proxies send nothing to the treatment.
    """
    return moved(waiting, split=_HALF, mirror=basis_points(experiment.mirror_percent))


def start(experiment: Experiment, epoch: int, exposed: Exposed = ()) -> Route:
    """Return the route of an experiment that begins: its first stage."""
    return Route(
        experiment=experiment.name,
        epoch=epoch,
        stage=0,
        phase=Phase.RUNNING,
        split_basis_points=basis_points(experiment.ramp[0]),
        mirror_basis_points=basis_points(experiment.mirror_percent),
        salt=experiment.salt,
        exposed=exposed,
    )


def is_last_stage(experiment: Experiment, stage: int) -> bool:
    """Whether a stage is the last of the ramp."""
    return stage >= len(experiment.ramp) - 1


def step(experiment: Experiment, route: Route, decision: Decision) -> Route | None:
    """Return the route after a decision, or None if it stays as it is."""
    match decision.action:
        case Action.ADVANCE:
            stage = route.stage + 1
            return moved(route, stage=stage, split=basis_points(experiment.ramp[stage]))
        case Action.PROMOTE if experiment.policy.on_success == "promote":
            return promoted(experiment, route)
        case Action.ROLLBACK:
            phase = Phase.ROLLED_BACK if experiment.policy.on_harm == "rollback" else Phase.PAUSED
            mirror = None if experiment.policy.mirror_after_rollback else 0
            return moved(route, phase=phase, split=0, mirror=mirror)
        case Action.PAUSE:
            return moved(route, phase=Phase.PAUSED, split=0, mirror=0)
        case Action.STOP_UNDECIDABLE:
            return moved(route, phase=Phase.STOPPED, split=0, mirror=0)
        case _:
            return None


def promoted(experiment: Experiment, route: Route) -> Route:
    """Serve everyone but the holdback, which goes on being compared."""
    held_back = basis_points(experiment.policy.holdback_percent)
    return moved(route, phase=Phase.PROMOTED, split=_FULL - held_back, mirror=None if held_back else 0)


def moved(
    route: Route, *, split: int, phase: Phase | None = None, stage: int | None = None, mirror: int | None = None
) -> Route:
    """Return a route of the same epoch with these parts changed."""
    return Route(
        experiment=route.experiment,
        epoch=route.epoch,
        stage=route.stage if stage is None else stage,
        phase=route.phase if phase is None else phase,
        split_basis_points=split,
        mirror_basis_points=route.mirror_basis_points if mirror is None else mirror,
        salt=route.salt,
        exposed=route.exposed,
    )


def transition(
    before: Route, after: Route, *, at: float, actor: str, reason: str, look: int | None = None
) -> Transition:
    """Return what is recorded of a change of route.

    Args:
        before: The route as it was.
        after: As it is to be.
        at: Wall-clock time in seconds since the epoch (UTC).
        actor: Who or what did it.
        reason: Why, in words.
        look: Number of the look that decided it.
    """
    return Transition(
        experiment=after.experiment,
        epoch=after.epoch,
        look=look,
        at=at,
        actor=actor,
        from_phase=before.phase,
        to_phase=after.phase,
        from_stage=before.stage,
        to_stage=after.stage,
        split_basis_points=after.split_basis_points,
        reason=reason,
    )
