"""Retries: a candidate that was judged before gets new users and less alpha. Pure.

If every attempt of the same build had the full alpha, a truly bad build would be promoted sooner or later. So attempt j
has `analysis.alpha_ledger.attempt_alpha`; what rolls back keeps its own: a retry must not be less safe. New users,
because those who met a failed treatment are no clean comparison: a new salt draws them anew, and the few of them that
are drawn again are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from analysis.alpha_ledger import attempt_alpha
from experiments.config.records import Backend, Experiment
from experiments.lifecycle import Exposed
from experiments.model import ENDED, Phase
from experiments.stored import Epoch, Transition

AA_CANDIDATE = "a/a"
"""Stands for a build in an epoch in which control is compared with itself: no attempt of anything."""
_SERVES = frozenset({Phase.RUNNING, Phase.PROMOTED})
"""Phases in which the treatment answers users."""


def candidate_of(experiment: Experiment, backends: Mapping[str, Backend]) -> str:
    """Return what identifies the build that is judged: its backend's name, build and addresses."""
    backend = backends[experiment.treatment]
    described = [backend.name, backend.build, *backend.urls]
    return hashlib.sha256(msgspec.json.encode(described)).hexdigest()[:16]


def attempt_of(candidate: str, epochs: Sequence[Epoch], transitions: Sequence[Transition]) -> int:
    """Return which attempt of a candidate a new epoch is: 1 for the first.

    Args:
        candidate: From `candidate_of`.
        epochs: The experiment's earlier ones.
        transitions: The experiment's. An epoch counts once a look has ended it; one that a person ended, or that was
            given up for another configuration, has judged nothing.
    """
    judged = {t.epoch for t in transitions if t.look is not None and t.to_phase in ENDED}
    return 1 + sum(epoch.candidate == candidate and epoch.number in judged for epoch in epochs)


def for_attempt(experiment: Experiment, attempt: int) -> Experiment:
    """Return the experiment with the alpha and the salt of an attempt."""
    if attempt == 1:
        return experiment
    policy = experiment.policy.model_copy(
        update={"alpha_promote": attempt_alpha(experiment.policy.alpha_promote, attempt)}
    )
    return experiment.model_copy(update={"policy": policy, "salt": f"{experiment.salt}/{attempt}"})


def exposed_before(
    experiment: Experiment, candidate: str, epochs: Sequence[Epoch], transitions: Sequence[Transition]
) -> Exposed:
    """Return whom earlier epochs of a candidate gave the treatment: each salt, with the widest split it had.

    Salt and split alone say who it was. So if the number of `treatments` was another one then, users of the others who
    would have been in this treatment are counted too.

    Args:
        experiment: The present one. An epoch that told units apart by something else says nothing of today's.
        candidate: From `candidate_of`.
        epochs: The experiment's earlier ones.
        transitions: The experiment's.
    """
    unit = experiment.unit.model_dump(mode="json")
    salts = {e.number: str(e.config["salt"]) for e in epochs if e.candidate == candidate and e.config["unit"] == unit}
    widest: dict[str, int] = {}
    for move in transitions:
        if move.epoch in salts and move.to_phase in _SERVES and move.split_basis_points > 0:
            salt = salts[move.epoch]
            widest[salt] = max(widest.get(salt, 0), move.split_basis_points)
    return tuple(widest.items())
