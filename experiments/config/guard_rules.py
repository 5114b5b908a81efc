"""Rules about what guards users: gates, trips, waived slices. Records in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.config.lines import Location
from experiments.config.messages import Finding
from experiments.config.problems import nearest
from experiments.config.records import Experiment


def check_guards(at: Location, experiment: Experiment) -> Iterator[Finding]:
    """Yield everything that is wrong with an experiment's guards."""
    yield from _gate(at, experiment)
    yield from _waived(at, experiment)
    yield from _holdback(at, experiment)


def _gate(at: Location, experiment: Experiment) -> Iterator[Finding]:
    wanted = "golden" in experiment.gate.model_fields_set and experiment.gate.golden
    if wanted and experiment.golden is None:
        rule = f"needs a golden set: name one as `golden` in [experiments.{experiment.name}]"
        yield Finding((*at, "gate", "golden"), rule, because=((*at, "golden"),))
    if experiment.gate.aa_units > 0:
        yield from _aa_run(at, experiment)


def _aa_run(at: Location, experiment: Experiment) -> Iterator[Finding]:
    """Without pairs an A/A run analyses no unit, and would never end."""
    where = f"[experiments.{experiment.name}]"
    if experiment.mirror_percent == 0:
        rule = f"compares control's answers with its own: set mirror_percent in {where}"
        yield Finding((*at, "gate", "aa_units"), rule, because=((*at, "mirror_percent"),))
    elif all(guardrail.margin is None for guardrail in experiment.guardrails):
        rule = f"needs a guardrail with a margin in {where}: there is nothing to find otherwise"
        yield Finding((*at, "gate", "aa_units"), rule, because=((*at, "guardrails"),))


def _waived(at: Location, experiment: Experiment) -> Iterator[Finding]:
    protected, waived = experiment.policy.protected_slices, (*at, "policy", "waived_slices")
    because = (waived, (*at, "policy", "protected_slices"))
    for index, entry in enumerate(experiment.policy.waived_slices):
        attribute, equals, value = entry.partition("=")
        if not equals or not value:
            yield Finding((*waived, index), 'must be "attribute=value"', because=(waived,))
        elif attribute not in protected:
            rule = f"is of no protected slice; protected are: {', '.join(protected) or 'none'}"
            near = nearest(attribute, protected)
            yield Finding((*waived, index), rule, f"{near}={value}" if near else "", because)


def _holdback(at: Location, experiment: Experiment) -> Iterator[Finding]:
    """A holdback that is not mirrored compares nothing."""
    if experiment.policy.holdback_percent > 0 and experiment.mirror_percent == 0:
        rule = f"needs mirrored requests to compare: set mirror_percent in [experiments.{experiment.name}]"
        yield Finding((*at, "policy", "holdback_percent"), rule, because=((*at, "mirror_percent"),))
