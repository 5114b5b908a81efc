"""The A/A run before an experiment: control against itself, in an epoch of its own. Pure: looks in, words out.

It tries the whole path, from assignment to evidence, with users in it and no treatment: whatever it finds is wrong with
the measurement. An alarm of harm means that control differs from itself by more than is tolerated, so that a treatment
which is as good would be rolled back. How often control's answers differ from its own is the noise below which no
margin makes sense.
"""

from __future__ import annotations

from typing import NamedTuple

from experiments.config.records import Experiment
from experiments.evidence import Code, Decision, Evidence, Kind, Reason
from experiments.explain import called, points, sentence, where
from experiments.lifecycle import moved
from experiments.model import Route
from experiments.stored import Look

_ADVICE = (
    "so a treatment that is as good would be rolled back: "
    "raise the margin, or take a scorer that such differences do not touch"
)


class Step(NamedTuple):
    """What follows from a look at an A/A run."""

    route: Route
    reason: str


def is_over(evidence: Evidence, experiment: Experiment) -> bool:
    """Whether as many units have been analysed as were asked for."""
    return evidence.units >= experiment.gate.aa_units


def progress(evidence: Evidence, experiment: Experiment) -> str:
    """Say how far an A/A run is."""
    return f"the A/A run: {evidence.units} of {experiment.gate.aa_units} units analysed"


def findings(evidence: Evidence, decision: Decision, experiment: Experiment) -> list[str]:
    """Return what is wrong with the measurement, a sentence each; nothing if nothing is.

    Args:
        evidence: Of a look at the A/A run.
        decision: Of the same look: its reasons are the alarms of harm.
        experiment: As it is judged.
    """
    found = [
        f"the split of the {split.name} units is not the configured one" for split in evidence.splits if split.alarm
    ]
    harm = [reason for reason in decision.reasons if reason.code in {Code.HARM, Code.FAMILY_HARM}]
    found += map(_differs, harm)
    if harm:
        found.append(_ADVICE)
    if is_over(evidence, experiment):
        found += _incomplete(evidence, experiment)
    return found


def after_look(experiment: Experiment, route: Route, look: Look) -> Step | None:
    """Return what follows from a look: nothing, unless something was found. Then nobody is assigned any more."""
    found = findings(look.evidence, look.decision, experiment)
    if not found:
        return None
    return Step(moved(route, split=0, mirror=0), f"{_lead(look.evidence)}: not clean; {'; '.join(found)}")


def clean(evidence: Evidence) -> str:
    """Say that an A/A run found nothing, and how noisy each metric is."""
    noise = [
        f"in {100 * (row.losses + row.wins) / row.pairs:.1f} % of pairs ({row.metric})"
        for row in evidence.metrics
        if row.kind is Kind.PAIRED and not row.slice and row.pairs
    ]
    said = f"{_lead(evidence)}: clean"
    return f"{said}; control disagrees with itself {', '.join(noise)}" if noise else said


def _lead(evidence: Evidence) -> str:
    return f"A/A over {evidence.units} units"


def _differs(reason: Reason) -> str:
    if reason.margin is None or reason.estimate is None:
        return f"control against itself: {sentence(reason)}"
    tolerated = points(reason.margin, signed=False)
    by = points(abs(reason.estimate), signed=False)
    return (
        f"{called(reason.metric)} in {where(reason.slice)} differs by {by} between control and itself, "
        f"and {tolerated} are tolerated"
    )


def _incomplete(evidence: Evidence, experiment: Experiment) -> list[str]:
    due = sum(one.due for one in evidence.completeness)
    share = sum(one.complete for one in evidence.completeness) / due if due else 0.0
    needed = experiment.policy.min_completeness
    if due and all(one.share >= needed for one in evidence.completeness):
        return []
    return [f"only {100 * share:.0f} % of the mirrored requests came to an end, and {100 * needed:g} % are needed"]
