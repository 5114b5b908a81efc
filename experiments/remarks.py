"""What a reader should know beside figures and reasons, in plain words: it decides nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from experiments.evidence import Evidence, Kind
from experiments.explain import called
from experiments.model import CONTROL


def response_lines(evidence: Evidence) -> list[str]:
    """Say for each feedback metric how many users of each variant gave any."""
    metrics = dict.fromkeys(response.metric for response in evidence.responses)
    return [f"{metric}: {', '.join(_rates_of(evidence, metric))}" for metric in metrics]


def _rates_of(evidence: Evidence, metric: str) -> Iterator[str]:
    for response in evidence.responses:
        if response.metric == metric:
            whose = "control's" if response.variant == CONTROL else "the treatment's"
            yield f"{_rate(response.share)} of {whose} {response.units} users gave feedback"


def cautions(evidence: Evidence) -> list[str]:
    """Say what a reader has to know beside the figures, though it decides nothing: a sentence each."""
    return [*_response_cautions(evidence), *_scorer_cautions(evidence)]


def _response_cautions(evidence: Evidence) -> Iterator[str]:
    for metric in evidence.unequal_responses:
        control, treatment = (response for response in evidence.responses if response.metric == metric)
        yield (
            f"Of the treatment's users {_rate(treatment.share)} gave feedback ({metric}), of control's "
            f"{_rate(control.share)}: that differs beyond chance, so those who did may be different people. "
            "This is a test at one look, and decides nothing."
        )


def _scorer_cautions(evidence: Evidence) -> Iterator[str]:
    for row in evidence.metrics:
        if row.slice or row.kind is Kind.EVENT:
            continue
        if row.since is not None:
            when = datetime.fromtimestamp(row.since, UTC)
            yield (
                f"{_begun(row.metric)} counts since {when:%Y-%m-%d %H:%M} UTC only: its scorer has changed, to "
                f"{row.scorer}, and figures of two scorers are not mixed."
            )
        if row.failed:
            yield (
                f"{_begun(row.metric)}: {row.failed} of {row.pairs + row.failed} pairs could not be scored. "
                "They are missing from its figures."
            )


def _begun(metric: str) -> str:
    said = called(metric)
    return f"{said[:1].upper()}{said[1:]}"


def _rate(share: float) -> str:
    return f"{100 * share:.1f} %"
