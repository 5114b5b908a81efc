"""What the expressions are told: which rows, and by which rules; plain values, the same for every engine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.warehouse.steps import SeenLook

_STEPS: int = 16**8


@dataclass(frozen=True)
class Chosen:
    """One epoch of one experiment, and how its rows are counted.

    Args:
        experiment: Its configuration; says metrics, slices and when units are closed.
        epoch: Its number.
        lanes: Metrics that have a lane of their own, since another server scored them.
        versions: Metric -> the version of its scorer that is counted; others are left out. Empty for all.
        looks: What the controller had read at each of its looks; empty for `all`.
        attributes: Slice attributes that are followed.
    """

    experiment: Experiment
    epoch: int
    lanes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    looks: tuple[SeenLook, ...] = ()
    attributes: tuple[str, ...] = ()

    @property
    def cap(self) -> int:
        """Return how many pairs of one unit count at most."""
        return self.experiment.policy.unit_cap

    @property
    def settle_s(self) -> float:
        """Return after how many quiet seconds a unit is closed, and a vote counts."""
        return self.experiment.policy.settle_seconds

    @property
    def boosted(self) -> dict[str, float]:
        """Return the slices that are mirrored more than the rest, each with its percentage."""
        base = self.experiment.mirror_percent
        return {slice_: p for slice_, p in self.experiment.mirror_slices.items() if p > base}

    @property
    def feedback_metrics(self) -> tuple[str, ...]:
        """Return the metrics that are reported from outside."""
        metrics: list[Guardrail | Monitor] = [*self.experiment.guardrails, *self.experiment.monitors]
        return tuple(metric.name for metric in metrics if metric.feedback)


def smallest_not_drawn(percent: float) -> int:
    """Return the smallest end of an id whose draw is not below a percentage, exactly as `mirroring.drawn` has it.

    >>> smallest_not_drawn(25.0), smallest_not_drawn(100.0)
    (1073741824, 4294967296)
    """
    found = min(_STEPS, max(0, round(percent / 100 * _STEPS)))
    while found > 0 and (found - 1) * 100 / _STEPS >= percent:
        found -= 1
    while found < _STEPS and found * 100 / _STEPS < percent:
        found += 1
    return found
