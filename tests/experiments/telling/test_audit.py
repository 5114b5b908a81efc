"""The audit says who did what, when and why; it only grows, and no spreadsheet runs it."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_history import bad, living

from experiments.drains import DrainEvent
from experiments.evidence import Action, Code, Decision, Evidence, Interval, Kind, MetricEvidence, Reason, Verdict
from experiments.golden.store import GoldenRun
from experiments.model import Phase
from experiments.stored import Look, Transition
from experiments.telling.audit import AuditRow, as_csv, as_json_lines, audit, evidence_line, guarded

NOW = 1_700_000_000.25
ISO = "2023-11-14T22:13:20.250Z"


def metric(name: str = "quality", **changes: object) -> MetricEvidence:
    values = {"role": "guardrail", "kind": Kind.PAIRED, "verdict": Verdict.INSUFFICIENT, "units": 90} | changes
    return MetricEvidence(metric=name, **values)


def evidence(number: int = 3, *metrics: MetricEvidence, phase: Phase = Phase.RUNNING) -> Evidence:
    return Evidence(
        experiment="support", epoch=1, look=number, at=NOW, stage=0, phase=phase, units=90, stage_units=90,
        exchanges=200, served_by_treatment=20, pairs=150, metrics=list(metrics), splits=[], completeness=[],
        log_e_family=0.0, peak_log_e_family=0.0,
    )  # fmt: skip


def look(number: int = 3, action: Action = Action.HOLD, *codes: Code, at: float = NOW, units: int = 5) -> Look:
    reasons = [Reason(code=code, metric="quality", units=units, threshold=9.0, value=0.0) for code in codes]
    return Look(
        experiment="support", epoch=1, number=number, at=at, stage=0, exchange_seq=1, outcome_seq=1, feedback_seq=1,
        evidence=evidence(number), decision=Decision(action=action, reasons=reasons), state={},
    )  # fmt: skip


def move(number: int | None = 3, to: Phase = Phase.ROLLED_BACK, at: float = NOW, **changes: object) -> Transition:
    values = {
        "actor": "controller", "from_phase": Phase.RUNNING, "from_stage": 0, "to_stage": 0, "split_basis_points": 0,
        "reason": "quality in Hindi is worse",
    } | changes  # fmt: skip
    return Transition(experiment="support", epoch=1, look=number, at=at, to_phase=to, **values)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_transition_is_told_with_the_evidence_of_its_look() -> None:
    assert audit([move()], [look(3, Action.ROLLBACK, Code.HARM)]) == [
        AuditRow(
            time=ISO,
            actor="controller",
            experiment="support",
            epoch=1,
            what="rolled back",
            before="running, stage 1",
            after="rolled_back, stage 1, 0 % to the treatment",
            why="quality in Hindi is worse",
            look=3,
            evidence="90 units, 150 pairs, 200 live requests",
        )
    ]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"from_phase": Phase.DRAFT, "to": Phase.RUNNING, "number": None}, "epoch started"),
        ({"to": Phase.RUNNING, "to_stage": 1}, "stage changed"),
        ({"to": Phase.PROMOTED}, "promoted"),
        ({"from_phase": Phase.GATED, "to": Phase.GATED, "split_basis_points": 5_000}, "A/A run started"),
        ({"from_phase": Phase.GATED, "to": Phase.GATED}, "A/A run ended"),
        ({"from_phase": Phase.PAUSED, "to": Phase.RUNNING, "actor": "asha"}, "started to run"),
    ],
)
def test_each_kind_of_transition_has_its_word(changes: dict[str, object], what: str) -> None:
    [row] = audit([move(**changes)], [])

    assert (row.what, row.evidence) == (what, "")


def test_of_looks_that_moved_nothing_only_those_count_that_decided_otherwise() -> None:
    looks = [
        look(1, Action.HOLD, Code.TOO_EARLY),
        look(2, Action.HOLD, Code.TOO_EARLY, units=900),
        look(3, Action.HOLD, Code.SPLIT_MISMATCH),
        look(4, Action.HOLD, Code.SPLIT_MISMATCH),
        look(5, Action.HOLD, Code.TOO_EARLY),
    ]

    rows = audit([], looks)

    assert [(row.look, row.what, row.before == row.after) for row in rows] == [
        (1, "decided to hold", True),
        (3, "decided to hold", True),
        (5, "decided to hold", True),
    ]


def test_a_promotion_that_waits_for_a_person_is_in_the_audit_though_nothing_moved() -> None:
    [row] = audit([], [look(9, Action.PROMOTE, Code.NONINFERIOR)])

    assert (row.what, row.actor, row.look) == ("decided to promote", "controller", 9)


def test_a_drain_and_its_lifting_are_told_with_who_asked_for_them_and_why() -> None:
    drains = [
        DrainEvent(backend="int4", endpoint="http://a", at=NOW, action="drained", actor="asha", reason="new disk"),
        DrainEvent(backend="int8", at=NOW + 1, action="lifted", actor="local"),
    ]

    one, other = audit([], [], drains)

    assert (one.what, one.actor, one.after, one.why) == (
        "drained",
        "asha",
        "backend int4, endpoint http://a",
        "new disk",
    )
    assert (other.what, other.before, other.after) == (
        "drain lifted",
        "drained",
        "serving: backend int8, all endpoints",
    )


def test_a_golden_run_is_told_with_who_asked_for_it_and_what_came_out() -> None:
    runs = [
        GoldenRun(experiment="support", epoch=2, number=3, at=NOW, actor="cli:asha", result=result, summary="2 lost")
        for result in ("failed", "cannot_tell")
    ]

    one, other = audit([], [], golden=runs)

    assert (one.what, one.actor, one.epoch, one.after, one.why) == (
        "golden set failed",
        "cli:asha",
        2,
        "run 3",
        "2 lost",
    )
    assert other.what == "golden set cannot tell"


def test_looks_are_read_once_and_a_month_of_them_need_not_fit_into_memory() -> None:
    stream = (look(number, Action.HOLD, Code.TOO_EARLY) for number in range(1, 2_000))

    rows = audit([move(1_500)], stream)

    assert sorted(row.what for row in rows) == ["decided to hold", "rolled back"]
    assert next(row for row in rows if row.what == "rolled back").evidence


def test_rows_are_in_the_order_of_time() -> None:
    rows = audit(
        [move(at=NOW + 5)], [look(1, at=NOW)], [DrainEvent(backend="b", at=NOW + 2, action="drained", actor="a")]
    )

    assert [row.what for row in rows] == ["decided to hold", "drained", "rolled back"]


LOOKS = st.lists(
    st.tuples(st.sampled_from(list(Action)), st.sampled_from([Code.TOO_EARLY, Code.STAGE_DONE]), st.booleans()),
    max_size=12,
)


@given(LOOKS, st.integers(0, 12))
def test_later_looks_and_transitions_change_no_earlier_row(drawn: list[tuple[Action, Code, bool]], cut: int) -> None:
    looks = [look(n, action, code, at=NOW + n) for n, (action, code, _) in enumerate(drawn)]
    moves = [move(n, at=NOW + n) for n, (_, _, moved) in enumerate(drawn) if moved]
    early = [one for one in moves if one.at < NOW + cut]

    before = audit(early, looks[:cut])

    assert audit(moves, looks)[: len(before)] == before


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_proven_harm_is_what_the_evidence_says_first() -> None:
    interval = Interval(-0.15, -0.06)
    harmed = metric(slice="x-language=hi", verdict=Verdict.HARM, estimate=-0.104, interval=interval)

    line = evidence_line(evidence(1, metric(estimate=-0.01, interval=Interval(-0.03, None)), harmed))

    assert line == (
        "90 units, 150 pairs, 200 live requests; quality in Hindi: harm, -10.4 points (-15.0 to -6.0) after 90 units"
    )


def test_without_harm_it_says_how_guardrails_and_goals_stand() -> None:
    rows = [
        metric(estimate=-0.01, interval=Interval(-0.03, None)),
        metric("latency", role="goal", kind=Kind.RATIO, verdict=Verdict.NOT_ESTIMABLE),
        metric("thumbs", role="monitor"),
        metric(slice="x-language=en"),
    ]

    assert evidence_line(evidence(1, *rows)).split("; ")[1:] == [
        "quality in all traffic: insufficient, -1.0 points (-3.0 to unbounded) after 90 units",
        "latency in all traffic: not estimable",
    ]


def test_many_metrics_are_counted() -> None:
    assert evidence_line(evidence(1, *[metric(f"m{n}") for n in range(8)])).endswith("; 3 more metrics")


# --- exports ----------------------------------------------------------------------------------------------------------


def test_json_lines_and_csv_carry_the_same_rows_under_the_same_names() -> None:
    rows = audit([move(None, reason='a "quoted", and\nbroken reason')], [])

    objects = [json.loads(line) for line in as_json_lines(rows)]
    records = read_csv(rows)

    names = ["time", "actor", "experiment", "epoch", "what", "from", "to", "why", "look", "evidence"]
    assert [list(one) for one in (*objects, *records)] == [names, names]
    assert [{k: "" if v is None else str(v) for k, v in one.items()} for one in objects] == records


def test_an_empty_audit_is_a_header_and_nothing() -> None:
    assert (len(list(as_csv([]))), list(as_json_lines([]))) == (1, [])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n=", "\uff1d", "\uff0b"])
def test_no_cell_begins_as_a_formula_does(start: str) -> None:
    [record] = read_csv(audit([move(reason=f"{start}cmd|' /C calc'!A0")], []))

    assert record["why"].startswith("'")


@given(st.text(max_size=20))
def test_the_guard_puts_one_mark_before_a_formula_and_changes_nothing_else(text: str) -> None:
    cell = guarded(text)

    assert cell in {text, f"'{text}"}
    assert not cell.lstrip(" \n").startswith(tuple("=+-@\t\r"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), max_size=4))
def test_any_text_comes_back_from_csv_as_it_was_guarded(reasons: list[str]) -> None:
    rows = audit([move(None, reason=reason) for reason in reasons], [])

    assert [record["why"] for record in read_csv(rows)] == [guarded(reason) for reason in reasons]


def read_csv(rows: Sequence[AuditRow]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(as_csv(rows)), newline="")))


def test_the_audit_of_a_harmful_treatment_ends_with_its_rollback_and_the_look_behind_it(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        for number in range(12):
            life.serve(number * 100, number * 100 + 100, bad)
            life.tick()
        moves = life.store.transitions("support")
        rows = audit(moves, life.store.looks("support", 1))

    assert moves[-1].to_phase is Phase.ROLLED_BACK
    assert (rows[0].what, rows[0].actor, rows[0].time) == ("epoch started", "config", "2023-11-14T22:13:20.000Z")
    [row] = [row for row in rows if row.what == "rolled back"]
    assert row.look == moves[-1].look
    assert "harm" in row.evidence
    assert row.why == moves[-1].reason
