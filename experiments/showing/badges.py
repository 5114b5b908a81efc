"""Whether the data can be trusted, as badges: a word and a tone each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from experiments.evidence import Code, Completeness, Decision, Evidence, Shed, SplitEvidence
from experiments.explain import sentence
from experiments.golden.store import GoldenRun
from experiments.model import CONTROL, Phase
from experiments.showing.standing import Standing
from experiments.showing.words import Tone

_FEW = 0.02
"""Share of control's requests that may fail without a word on it."""


class Badge(msgspec.Struct, frozen=True, kw_only=True):
    """One check."""

    name: str
    tone: Tone
    label: str
    """A few words: what is shown."""
    text: str
    """A sentence: what it means."""


def badges(standing: Standing) -> list[Badge]:
    """Return all checks of an experiment; those that cannot be made yet are not shown as passed."""
    return [*_of_evidence(standing), golden(standing)]


def _of_evidence(standing: Standing) -> Iterator[Badge]:
    evidence, decision = standing.evidence, standing.decision
    if evidence is None or decision is None:
        return
    yield split(evidence)
    yield from (completeness(found, standing.experiment.policy.min_completeness) for found in evidence.completeness)
    yield recording(evidence.shed)
    yield control(evidence, decision)


def split(evidence: Evidence) -> Badge:
    """Whether users came to the variants as configured (sample ratio mismatch)."""
    alarms = [found for found in evidence.splits if found.alarm]
    if alarms:
        text = (
            f"The {alarms[0].name} units do not follow the configured split ({_counts(alarms[0])}): something loses or "
            "doubles requests, and nothing is decided until that is found."
        )
        return Badge(name="split", tone="bad", label="split is off", text=text)
    seen = sum(control + treatment for found in evidence.splits for _, control, treatment in found.stages)
    if not seen:
        text = "No unit has been assigned while both variants had a share."
        return Badge(name="split", tone="neutral", label="split not tested", text=text)
    assigned = next((found for found in evidence.splits if found.name == "assigned"), evidence.splits[0])
    text = f"No sign that the units do not follow the configured split ({_counts(assigned)})."
    return Badge(name="split", tone="good", label="split as configured", text=text)


def _counts(found: SplitEvidence) -> str:
    control, treatment = (sum(stage[arm] for stage in found.stages) for arm in (1, 2))
    return f"{control:,} with control, {treatment:,} with the treatment, all stages together"


def completeness(found: Completeness, needed: float) -> Badge:
    """Whether the mirrored requests of one variant came to an end."""
    name = f"completeness of {found.variant}"
    if not found.due:
        text = f"No request has been mirrored to {found.variant}."
        return Badge(name=name, tone="neutral", label=f"{found.variant}: nothing mirrored", text=text)
    share = _floored(found.share)
    text = (
        f"{found.complete:,} of {found.due:,} requests mirrored to {found.variant} came to an end ({share}); "
        f"{100 * needed:g} % are needed for a promotion."
    )
    tone: Tone = "good" if found.share >= needed else "bad"
    return Badge(name=name, tone=tone, label=f"{found.variant}: {share} complete", text=text)


def _floored(share: float) -> str:
    """Write a share so that what is missing stays visible: 99.96 % is not 100 %."""
    return f"{int(share * 1000 + 1e-9) / 10:g} %"


def recording(shed: Shed) -> Badge:
    """Whether all traffic is recorded."""
    if not (shed.now or shed.records or shed.texts):
        text = "Nothing was lost between the last two looks."
        return Badge(name="recording", tone="good", label="all recorded", text=text)
    text = (
        f"Since the look before, {shed.records:,} records were lost and {shed.texts:,} exchanges were kept without "
        "their texts; the split does not rise."
    )
    return Badge(name="recording", tone="bad", label="recording is shed", text=text)


def control(evidence: Evidence, decision: Decision) -> Badge:
    """Whether control itself works, since without it there is nothing to compare with."""
    for reason in decision.reasons:
        if reason.code is Code.CONTROL_FAILING:
            said = sentence(reason)
            return Badge(name="control", tone="bad", label="control fails", text=f"{said[:1].upper()}{said[1:]}.")
    recent = next((found for found in evidence.recent if found.variant == CONTROL), None)
    if recent is None or not recent.requests:
        text = "Control had no request within the last minute."
        return Badge(name="control", tone="neutral", label="control not asked lately", text=text)
    text = f"{recent.failed:,} of control's last {recent.requests:,} requests failed."
    if recent.failed > _FEW * recent.requests:
        return Badge(name="control", tone="waiting", label="control fails at times", text=text)
    return Badge(name="control", tone="good", label="control works", text=text)


_GOLDEN: dict[str, tuple[Tone, str]] = {
    "passed": ("good", "golden set passed"),
    "failed": ("bad", "golden set failed"),
    "cannot_tell": ("waiting", "golden set: cannot tell"),
}


def golden(standing: Standing) -> Badge:
    """How the newest golden run ended."""
    run: GoldenRun | None = standing.golden
    if run is not None:
        tone, label = _GOLDEN.get(run.result, ("waiting", f"golden set: {run.result}"))
        return Badge(name="golden", tone=tone, label=label, text=f"Run {run.number}, by {run.actor}: {run.summary}")
    if standing.phase is Phase.GATED and standing.gate is not None:
        text = f"Waits for: {'; '.join(standing.gate.waits_for)}."
        return Badge(name="golden", tone="waiting", label="waits at its gate", text=text)
    return Badge(name="golden", tone="neutral", label="no golden run", text="No golden set has been run in this epoch.")
