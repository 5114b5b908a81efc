"""Evidence and decisions in plain words. Pure; no formula reaches the reader, and no number without its meaning."""

from __future__ import annotations

import math
from collections.abc import Callable

from experiments.config.records import Experiment
from experiments.evidence import Action, Code, Decision, Evidence, Interval, Kind, MetricEvidence, Reason
from experiments.model import Phase

LANGUAGES = {"en": "English", "hi": "Hindi", "hi-Latn": "Hinglish"}


def points(share: float | None, *, signed: bool = True) -> str:
    """Render a difference of shares in percentage points.

    >>> points(-0.104), points(0.02, signed=False)
    ('-10.4 points', '2 points')
    """
    if share is None:
        return "unknown"
    number = f"{share * 100:+.1f}" if signed else f"{round(share * 100, 2):g}"
    return f"{number} point" if number in {"1", "-1"} else f"{number} points"


def percent(share: float | None) -> str:
    """Render a relative change.

    >>> percent(-0.31), percent(0.05)
    ('31 % less', '5 % more')
    """
    if share is None:
        return "unknown"
    return f"{abs(share) * 100:.0f} % {'less' if share < 0 else 'more'}"


def called(metric: str) -> str:
    """Name a metric in words.

    >>> called("errors"), called("quality")
    ('the error rate', 'quality')
    """
    return "the error rate" if metric == "errors" else metric


def where(slice_: str) -> str:
    """Name a slice in words.

    >>> where("x-language=hi-Latn"), where("tenant=acme"), where("")
    ('Hinglish', 'tenant=acme', 'all traffic')
    """
    if not slice_:
        return "all traffic"
    attribute, _, value = slice_.partition("=")
    return LANGUAGES.get(value, slice_) if "lang" in attribute else slice_


def headline(experiment: Experiment, phase: Phase, evidence: Evidence | None, decision: Decision | None) -> str:
    """Say in one sentence how an experiment stands."""
    name = f"{experiment.name}, {experiment.treatment} against {experiment.control}"
    if evidence is None or decision is None:
        return f"{name}: no evidence yet."
    lead = {
        Phase.PROMOTED: "promoted",
        Phase.ROLLED_BACK: "rolled back",
        Phase.STOPPED: "stopped without a winner",
        Phase.PAUSED: "paused",
        Phase.GATED: "waits at its gate",
    }.get(phase, "still running")
    reasons = "; ".join(sentence(reason) for reason in decision.reasons[:3])
    said = f"{name}: {lead}. {reasons[:1].upper()}{reasons[1:]}."
    groups = worse_groups(evidence) if phase is Phase.ROLLED_BACK else ""
    return f"{said} {groups}".rstrip()


def worse_groups(evidence: Evidence) -> str:
    """Say in which slices a loss is proven, the worst first; empty if in none."""
    found = [
        row
        for row in evidence.metrics
        if row.role == "guardrail" and row.slice and row.estimate is not None
        if row.interval is not None and row.interval.upper is not None and row.interval.upper < 0
    ]
    if not found:
        return ""
    found.sort(key=lambda row: row.estimate or 0.0)
    groups = ", ".join(f"{where(row.slice)} {points(row.estimate)}" for row in found)
    return f"Some loss is certain (95 % each) in: {groups}."


def sentence(reason: Reason) -> str:
    """Say one reason in words."""
    return _SENTENCES[reason.code](reason)


def _range(reason: Reason) -> str:
    if reason.lower is None or reason.upper is None:
        return ""
    return f" (between {reason.lower * 100:+.1f} and {reason.upper * 100:+.1f})"


def _harm(reason: Reason) -> str:
    if reason.margin is None or reason.estimate is None:  # unpaired events have no tolerance in points
        subject = called(reason.metric) if reason.metric == "errors" else f"the rate of bad feedback ({reason.metric})"
        rise = "" if reason.estimate is None else f": {points(reason.estimate)}"
        return f"{subject} is higher with the treatment than tolerated{rise}"
    tolerated = points(reason.margin, signed=False)
    return (
        f"{called(reason.metric)} in {where(reason.slice)} is worse than the tolerated {tolerated}: "
        f"{points(reason.estimate)}{_range(reason)}"
    )


def _noninferior(reason: Reason) -> str:
    return (
        f"{called(reason.metric)} is not worse by {points(reason.margin, signed=False)} or more: "
        f"{points(reason.estimate)}{_range(reason)}"
    )


def _not_yet(reason: Reason) -> str:
    if not reason.units:
        return f"{reason.metric} has not been measured yet"
    return (
        f"{called(reason.metric)} may still be worse by {points(reason.margin, signed=False)} or more: "
        f"{points(reason.estimate)}{_range(reason)} after {reason.units} units"
    )


def _goal_not_reached(reason: Reason) -> str:
    asked = f"{reason.metric} is not yet shown to be lower by {100 * (reason.margin or 0):.0f} %"
    if reason.estimate is None:
        return asked
    known = reason.lower is not None and reason.upper is not None
    range_ = f", between {percent(reason.lower)} and {percent(reason.upper)}" if known else ""
    return f"{asked} (so far {percent(reason.estimate)}{range_}, after {reason.units} users)"


def _late_harm(reason: Reason) -> str:
    since = "worse than tolerated since the promotion"
    if reason.kind is not Kind.EVENT:
        return f"{called(reason.metric)} has become {since} ({reason.units} users compared since)"
    if reason.metric == "errors":
        return f"the rate of failed requests has become {since} ({reason.units} users met one since)"
    return f"the rate of bad feedback ({reason.metric}) has become {since} ({reason.units} users gave some since)"


def _duration(seconds: float | None) -> str:
    """Render a duration in the unit that a reader would use.

    >>> _duration(90), _duration(7200), _duration(604800)
    ('90 seconds', '2.0 hours', '7.0 days')
    """
    seconds = seconds or 0.0
    for limit, name, size in ((180, "seconds", 1), (5_400, "minutes", 60), (172_800, "hours", 3_600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {name}" if size < 3_600 else f"{seconds / size:.1f} {name}"
    return f"{seconds / 86_400:.1f} days"


def _recording_shed(reason: Reason) -> str:
    lost = [f"{reason.units} records were lost"] if reason.units else []
    lost += [f"{reason.value:.0f} exchanges were kept without their texts"] if reason.value else []
    since = f" ({' and '.join(lost)} since the last look)" if lost else ""
    return f"the journal's disk or folder is full, so not everything was recorded{since}: the split will not rise"


def _failing(who: str) -> Callable[[Reason], str]:
    def said(reason: Reason) -> str:
        return f"{100 * (reason.value or 0):.0f} % of {who}'s last {reason.units} requests failed"

    return said


_SENTENCES: dict[Code, Callable[[Reason], str]] = {
    Code.HARM: _harm,
    Code.FAMILY_HARM: lambda r: (
        f"all guardrails together show harm, most of it in {called(r.metric)}, {where(r.slice)}: "
        f"{points(r.estimate)}{_range(r)}"
    ),
    Code.ANY_LOSS: lambda r: (
        f"some loss of {r.metric} in {where(r.slice)} is proven ({points(r.estimate)}), "
        "though not yet that it is more than tolerated: the split will not rise"
    ),
    Code.SPLIT_MISMATCH: lambda r: (
        f"the {r.metric} units do not follow the configured split: something loses or doubles requests, "
        "so nothing is decided until that is found"
    ),
    Code.INCOMPLETE: lambda r: (
        f"only {math.floor(1000 * (r.value or 0)) / 10:g} % of the mirrored requests to the {r.metric} came to an end, "
        f"{round(100 * (r.threshold or 0), 2):g} % are needed"
    ),
    Code.SCORING_INCOMPLETE: lambda r: (
        f"only {math.floor(1000 * (r.value or 0)) / 10:g} % of the {r.units} pairs that are due could be scored for "
        f"{called(r.metric)}, {round(100 * (r.threshold or 0), 2):g} % are needed"
    ),
    Code.RECORDING_SHED: _recording_shed,
    Code.FAILING: _failing("the treatment"),
    Code.EMPTY_ANSWERS: lambda r: (
        f"{100 * (r.value or 0):.0f} % of the treatment's last {r.units} answers have nothing in them"
    ),
    Code.CONTROL_FAILING: lambda r: (
        f"control itself fails in {100 * (r.value or 0):.0f} % of its requests: there is nothing to compare with"
    ),
    Code.LATE_HARM: _late_harm,
    Code.SLICE_HARM: lambda r: f"{_harm(r)}; the policy holds instead of rolling back for a slice",
    Code.NONINFERIOR: _noninferior,
    Code.NOT_YET_NONINFERIOR: _not_yet,
    Code.GOAL_REACHED: lambda r: f"{r.metric} is lower as promised: {percent(r.estimate)}",
    Code.GOAL_NOT_REACHED: _goal_not_reached,
    Code.SLICE_NOT_SAFE: lambda r: (
        f"{where(r.slice)} is protected and not yet shown safe: {r.metric} may be worse by "
        f"{points(r.margin, signed=False)} or more there ({points(r.estimate)} after {r.units} units)"
    ),
    Code.TOO_FEW_UNITS: lambda r: f"{r.units} of at least {r.threshold:.0f} units analysed",
    Code.TOO_EARLY: lambda r: f"{_duration(r.value)} of at least {_duration(r.threshold)} have passed",
    Code.STAGE_DONE: lambda r: f"this stage has its {r.threshold:.0f} units and nothing is harmed",
    Code.TIME_IS_UP: lambda r: f"undecided after {_duration(r.value)}, the limit is {_duration(r.threshold)}",
    Code.ASSUMPTIONS_VIOLATED: lambda r: (
        f"{r.metric} contradicts the assumptions of its interval, which is empty by now: look into the data"
    ),
}


def action_word(action: Action) -> str:
    """Say an action in the past tense, for a log."""
    return {
        Action.HOLD: "kept running",
        Action.ADVANCE: "advanced to the next stage",
        Action.PROMOTE: "promoted",
        Action.ROLLBACK: "rolled back",
        Action.PAUSE: "paused",
        Action.STOP_UNDECIDABLE: "stopped as undecidable",
    }[action]


def estimate_text(row: MetricEvidence) -> str:
    """Render an estimate in the metric's own unit."""
    if row.estimate is None:
        return "-"
    return percent(row.estimate) if row.kind is Kind.RATIO else points(row.estimate)


def interval_text(row: MetricEvidence, interval: Interval | None) -> str:
    """Render an interval in the metric's own unit; an unbounded side is said to be so."""
    if interval is None:
        return "-"
    ends = [_end(row, end) for end in (interval.lower, interval.upper)]
    return f"{ends[0]} to {ends[1]}"


def _end(row: MetricEvidence, end: float | None) -> str:
    if end is None:
        return "unbounded"
    return f"{end * 100:+.1f}" if row.kind is not Kind.RATIO else f"{end * 100:+.0f} %"
