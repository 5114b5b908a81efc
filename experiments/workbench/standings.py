"""How any epoch of an experiment stands, the newest one or an earlier one. Pure, but for `standing_of`."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.lifecycle import basis_points
from experiments.model import Phase, Route
from experiments.showing.reader import Showing, experiment_of
from experiments.showing.standing import Standing
from experiments.store import Store
from experiments.stored import Epoch, RouteState, Transition

_MIRRORED = frozenset({Phase.RUNNING})


def route_state_of(epoch: Epoch, transitions: Sequence[Transition]) -> RouteState | None:
    """Return where an epoch stands after its last transition; None if it has none.

    Args:
        epoch: With its configuration.
        transitions: Of the experiment, in order; those of other epochs are passed over.
    """
    mine = [transition for transition in transitions if transition.epoch == epoch.number]
    if not mine:
        return None
    last, experiment = mine[-1], experiment_of(epoch)
    begun = next(t for t in mine if (t.to_stage, t.to_phase) == (last.to_stage, last.to_phase))
    route = Route(
        experiment=epoch.experiment,
        epoch=epoch.number,
        stage=last.to_stage,
        phase=last.to_phase,
        split_basis_points=last.split_basis_points,
        mirror_basis_points=basis_points(experiment.mirror_percent) if last.to_phase in _MIRRORED else 0,
        salt=experiment.salt,
    )
    return RouteState(route=route, epoch_started_at=epoch.started_at, stage_started_at=begun.at)


def standing_of(store: Store, showing: Showing, epoch: Epoch) -> Standing:
    """Return how an epoch stands; of an earlier one, how it stood at its end."""
    newest = showing.standing(epoch.experiment)
    if newest.epoch is not None and newest.epoch.number == epoch.number:
        return newest
    transitions = tuple(t for t in newest.transitions if t.epoch <= epoch.number)
    return Standing(
        experiment=experiment_of(epoch),
        state=route_state_of(epoch, transitions),
        epoch=epoch,
        look=store.latest_look(epoch.experiment, epoch.number),
        transitions=transitions,
        golden=showing.latest_golden(epoch.experiment, epoch.number),
        gate=None,
    )
