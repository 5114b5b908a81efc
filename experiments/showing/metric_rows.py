"""The tables of an experiment: metrics, groups, and what pairs say one by one. Pure."""

from __future__ import annotations

import math

import msgspec

from experiments.config.records import Experiment, Policy
from experiments.evidence import Evidence, Kind, MetricEvidence, Verdict
from experiments.explain import called, where
from experiments.scoring.experiment_scorer import ERRORS
from experiments.showing.numbers import difference, interval, level_of, limit
from experiments.showing.words import Tone

_WORDS: dict[Verdict, tuple[str, Tone]] = {
    Verdict.HARM: ("harmed", "bad"),
    Verdict.NONINFERIOR: ("not worse", "good"),
    Verdict.SUPERIOR: ("better, as asked", "good"),
    Verdict.INSUFFICIENT: ("cannot tell yet", "waiting"),
    Verdict.NOT_ESTIMABLE: ("cannot be computed", "neutral"),
}


class MetricRow(msgspec.Struct, frozen=True, kw_only=True):
    """One metric in one slice: texts for a table, and the verdict with its tone."""

    metric: str
    label: str
    slice: str
    """Empty for all traffic."""
    place: str
    """The slice in words."""
    role: str
    kind: Kind
    units: int
    pairs: int
    control: str
    treatment: str
    difference: str
    interval: str
    method: str
    """What the interval is, and what it assumes."""
    margin: str
    tolerance: str
    verdict: Verdict
    verdict_text: str
    tone: Tone
    harm_share: float | None
    """How far the evidence of harm is on its way, 0 to 1: log of the e-value by that of its threshold."""
    safe_share: float | None
    """Likewise of no harm."""


class PairedTable(msgspec.Struct, frozen=True, kw_only=True):
    """What the pairs of one metric in one slice say, one by one."""

    metric: str
    label: str
    slice: str
    place: str
    pairs: int
    wins: int
    """Only the treatment did well, or it scored higher."""
    losses: int
    """Only control did well, or it scored higher."""
    ties: int
    both_right: int | None
    """None where scores are not just right or wrong."""
    both_wrong: int | None
    text: str


def metric_label(metric: str, kind: Kind) -> str:
    """Name a metric by what its figures count: pairs are scored by what went well, live users by what went wrong.

    >>> metric_label("errors", Kind.PAIRED), metric_label("errors", Kind.EVENT), metric_label("quality", Kind.PAIRED)
    ('answers without errors', 'the error rate (live users)', 'quality')
    """
    if kind is Kind.EVENT:
        return f"{called(metric)} (live users)"
    return "answers without errors" if metric == ERRORS else called(metric)


def metric_rows(experiment: Experiment, evidence: Evidence) -> list[MetricRow]:
    """Return the rows of all traffic, in the order of the evidence."""
    return [_row(experiment.policy, row) for row in evidence.metrics if not row.slice]


def slice_rows(experiment: Experiment, evidence: Evidence) -> list[MetricRow]:
    """Return the rows of the slices, those with harm first, then the largest."""
    rows = [_row(experiment.policy, row) for row in evidence.metrics if row.slice]
    return sorted(rows, key=lambda row: (row.verdict is not Verdict.HARM, -row.units))


def harm_threshold(policy: Policy, row: MetricEvidence) -> float | None:
    """Return where harm is proven: natural logarithm of the e-value; None if the metric has no part of alpha."""
    return math.log(1 / policy.alpha_rollback) - math.log(row.weight) if row.weight > 0 else None


def safe_threshold(policy: Policy, row: MetricEvidence) -> float | None:
    """Return where a loss of the margin is ruled out: natural logarithm of the e-value; None without a margin."""
    return math.log(1 / policy.alpha_promote) if row.kind is Kind.PAIRED and row.margin is not None else None


def _row(policy: Policy, row: MetricEvidence) -> MetricRow:
    text, tone = _verdict(row)
    return MetricRow(
        metric=row.metric,
        label=metric_label(row.metric, row.kind),
        slice=row.slice,
        place=where(row.slice),
        role=row.role,
        kind=row.kind,
        units=row.units,
        pairs=row.pairs,
        control=level_of(row, row.control_mean),
        treatment=level_of(row, row.treatment_mean),
        difference=difference(row),
        interval=interval(row),
        method=_method(row),
        margin=_margin(row),
        tolerance=limit(row.tolerance) if row.tolerance is not None else "-",
        verdict=row.verdict,
        verdict_text=text,
        tone=tone,
        harm_share=_share(row.peak_log_e_harm, harm_threshold(policy, row)),
        safe_share=_share(row.peak_log_e_noninferior, safe_threshold(policy, row)),
    )


def _verdict(row: MetricEvidence) -> tuple[str, Tone]:
    if row.role == "monitor" and row.verdict is not Verdict.NOT_ESTIMABLE:
        return "only watched", "neutral"
    text, tone = _WORDS[row.verdict]
    if row.verdict is Verdict.NOT_ESTIMABLE and row.reason:
        return f"{text}: {row.reason}", tone
    if row.kind is Kind.EVENT and row.verdict is Verdict.INSUFFICIENT:
        return "no harm proven; watched for harm only", tone
    return text, tone


def _method(row: MetricEvidence) -> str:
    if row.interval is None:
        return ""
    if row.kind is Kind.RATIO:
        return "95 %, valid at every look, asymptotic"
    return "95 %, valid at every look"


def _margin(row: MetricEvidence) -> str:
    if row.margin is None:
        return "-"
    return f"{100 * row.margin:.6g} % better" if row.kind is Kind.RATIO else limit(row.margin)


def _share(log_e: float | None, threshold: float | None) -> float | None:
    if log_e is None or not threshold:
        return None
    return min(1.0, max(0.0, log_e / threshold))


# --- pair by pair -----------------------------------------------------------------------------------------------------


def paired_tables(evidence: Evidence) -> list[PairedTable]:
    """Return a table for each metric and slice with pairs; ratios have none."""
    return [_paired(row) for row in evidence.metrics if row.kind is Kind.PAIRED and row.pairs]


def _paired(row: MetricEvidence) -> PairedTable:
    both = _both_right(row)
    wrong = row.ties - both if both is not None else None
    if both is None:
        text = f"{row.losses:,} scored lower with the treatment, {row.wins:,} higher, {row.ties:,} the same"
    else:
        text = (
            f"both right {both:,}, only control {row.losses:,}, only the treatment {row.wins:,}, both wrong {wrong:,}"
        )
    return PairedTable(
        metric=row.metric,
        label=metric_label(row.metric, row.kind),
        slice=row.slice,
        place=where(row.slice),
        pairs=row.pairs,
        wins=row.wins,
        losses=row.losses,
        ties=row.ties,
        both_right=both,
        both_wrong=wrong,
        text=f"{text} of {row.pairs:,} pairs",
    )


def _both_right(row: MetricEvidence) -> int | None:
    """Return how often both were right, or None if scores are graded.

    The evidence keeps sums, not tables. Of scores of 0 and 1 the sums are whole numbers whose difference is wins less
    losses, and graded ones hardly ever are.
    """
    if row.control_mean is None or row.treatment_mean is None:
        return None
    right = [mean * row.pairs for mean in (row.control_mean, row.treatment_mean)]
    control, treatment = (round(total) for total in right)
    whole = all(math.isclose(total, round(total), rel_tol=1e-9, abs_tol=1e-6) for total in right)
    both = control - row.losses
    if not whole or treatment - control != row.wins - row.losses or not 0 <= both <= row.ties:
        return None
    return both
