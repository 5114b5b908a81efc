"""Remarks: what decides nothing and should be known all the same."""

import typing

import msgspec

from experiments.evidence import Evidence, Kind, MetricEvidence, Response, Verdict
from experiments.model import Phase
from experiments.remarks import cautions, response_lines


def row(slice_: str = "", **changes: typing.Any) -> MetricEvidence:
    values: dict[str, typing.Any] = {
        "metric": "quality", "role": "guardrail", "kind": Kind.PAIRED, "verdict": Verdict.INSUFFICIENT, "units": 10,
    }  # fmt: skip
    return MetricEvidence(slice=slice_, **(values | changes))


def evidence(*metrics: MetricEvidence) -> Evidence:
    return Evidence(
        experiment="support", epoch=1, look=1, at=1.0, stage=0, phase=Phase.RUNNING, units=10, stage_units=10,
        exchanges=10, served_by_treatment=5, pairs=10, metrics=list(metrics), splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


def test_different_response_rates_are_a_caution_and_equal_ones_are_not() -> None:
    rates = tuple(
        Response(metric="thumbs_up", variant=variant, units=200, answered=answered)
        for variant, answered in (("control", 20), ("treatment", 61))
    )
    quiet = msgspec.structs.replace(evidence(), responses=rates)

    [said] = cautions(msgspec.structs.replace(quiet, unequal_responses=("thumbs_up",)))

    assert response_lines(quiet) == [
        "thumbs_up: 10.0 % of control's 200 users gave feedback, 30.5 % of the treatment's 200 users gave feedback"
    ]
    assert said.startswith(
        "Of the treatment's users 30.5 % gave feedback (thumbs_up), of control's 10.0 %: that differs"
    )
    assert "decides nothing" in said
    assert cautions(quiet) == []


def test_a_changed_scorer_and_pairs_without_a_score_are_cautions_told_once_a_metric() -> None:
    rows = [row(slice_, scorer="judge/2:ab", since=86_400.0, failed=3, pairs=97) for slice_ in ("", "language=hi")]

    assert cautions(evidence(*rows, row(failed=0))) == [
        (
            "Quality counts since 1970-01-02 00:00 UTC only: its scorer has changed, to judge/2:ab, and figures of two "
            "scorers are not mixed."
        ),
        "Quality: 3 of 100 pairs could not be scored. They are missing from its figures.",
    ]
