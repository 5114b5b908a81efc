"""Retries: a candidate that was judged before gets new users and less alpha. Pure.

If every attempt of the same build had the full alpha, a truly bad build would be promoted sooner or later. So attempt j
has `analysis.alpha_ledger.attempt_alpha`; what rolls back keeps its own: a retry must not be less safe. New users,
because those who met a failed treatment are no clean comparison: a new salt draws them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from analysis.alpha_ledger import attempt_alpha
from experiments.config.records import Backend, Experiment
from experiments.model import ENDED
from experiments.stored import Epoch, Transition


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
