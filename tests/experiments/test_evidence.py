"""Evidence as it is stored: every bit comes back from JSON, which is what a replay is held against."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.evidence import Action, Code, Completeness, Decision, Evidence, Kind, MetricEvidence, Reason, Verdict
from experiments.model import Phase

finite = st.floats(allow_nan=False, allow_infinity=False)


def row(metric: str, slice_: str = "", kind: Kind = Kind.PAIRED) -> MetricEvidence:
    return MetricEvidence(
        metric=metric, role="guardrail", kind=kind, slice=slice_, verdict=Verdict.INSUFFICIENT, units=1
    )


def evidence(*metrics: MetricEvidence) -> Evidence:
    return Evidence(
        experiment="support", epoch=1, look=1, at=1.0, stage=0, phase=Phase.RUNNING, units=0, stage_units=0,
        exchanges=0, served_by_treatment=0, pairs=0, metrics=list(metrics), splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


@given(value=finite)
def test_a_number_comes_back_from_json_to_the_last_bit(value: float) -> None:
    stored = msgspec.structs.replace(evidence(), log_e_family=value)

    found = msgspec.json.decode(msgspec.json.encode(stored), type=Evidence)

    assert found == stored
    assert math.copysign(1, found.log_e_family) == math.copysign(1, value)


def test_evidence_comes_back_from_plain_data_as_it_was() -> None:
    stored = msgspec.structs.replace(
        evidence(row("quality"), row("errors", kind=Kind.EVENT)),
        completeness=[Completeness(variant="control", complete=3, due=4)],
    )

    assert msgspec.convert(msgspec.to_builtins(stored), Evidence) == stored


def test_a_row_is_found_by_metric_slice_and_kind() -> None:
    paired, event, hindi = row("errors"), row("errors", kind=Kind.EVENT), row("errors", "language=hi")
    found = evidence(row("quality"), paired, event, hindi)

    assert found.of("errors") is paired
    assert found.of("errors", kind=Kind.EVENT) is event
    assert found.of("errors", "language=hi") is hindi
    assert found.of("errors", "language=hi", Kind.EVENT) is None
    assert found.of("latency") is None


@pytest.mark.parametrize(("complete", "due", "share"), [(0, 0, 1.0), (0, 4, 0.0), (3, 4, 0.75), (4, 4, 1.0)])
def test_completeness_is_whole_while_nothing_was_due(complete: int, due: int, share: float) -> None:
    assert Completeness(variant="control", complete=complete, due=due).share == share


@given(reasons=st.lists(st.builds(Reason, code=st.sampled_from(Code), value=st.none() | finite), max_size=3))
def test_a_decision_comes_back_with_its_reasons(reasons: list[Reason]) -> None:
    decision = Decision(action=Action.HOLD, reasons=reasons)

    found = msgspec.convert(msgspec.to_builtins(decision), Decision)

    assert found.reasons == reasons
