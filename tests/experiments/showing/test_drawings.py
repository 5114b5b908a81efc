"""Looks become figures with the thresholds, margins and names of their experiment."""

import math

import pytest
from tests_builders import make_exchange, make_experiment
from tests_standings import BEGAN, make_evidence, make_goal, make_look, make_row, make_transition

from analysis.figures import EvidenceOverTime, IntervalOverTime, Limit
from experiments.config.records import Policy
from experiments.evaluation.durations import LATENCY_MS, TOKENS_PER_S, Durations
from experiments.evidence import Interval, Kind, MetricEvidence, Verdict
from experiments.model import CONTROL, TREATMENT, Phase
from experiments.server_timings import COMPUTE_MS, QUEUE_MS, WAITING_MS
from experiments.showing import drawings
from experiments.showing.reader import MetricPoint, SeriesPoint
from experiments.showing.standing import DailyRow


def series(row: MetricEvidence) -> list[SeriesPoint]:
    values = {name: getattr(row, name) for name in MetricPoint.__struct_fields__}
    other = MetricPoint(**(values | {"metric": "another"}))
    common = {"stage": 0, "action": "hold", "phase": Phase.RUNNING, "units": 400}
    points = [MetricPoint(**values), other]
    return [SeriesPoint(number=n, at=BEGAN + n, metrics=points, **common) for n in (1, 2)]


def test_a_guardrail_is_drawn_against_the_thresholds_that_decide() -> None:
    experiment = make_experiment(policy=Policy(alpha_rollback=0.05, alpha_promote=0.025))
    row = make_row(weight=0.25)

    found = drawings.over_time(experiment, series(row), row, ())

    assert isinstance(found, EvidenceOverTime)
    assert found.harm_threshold == pytest.approx(math.log(20 * 4))
    assert found.safe_threshold == pytest.approx(math.log(40))
    assert [(p.look, p.log_e_harm, p.log_e_safe) for p in found.points] == [(1, 0.2, 0.1), (2, 0.2, 0.1)]


def test_a_goal_is_drawn_in_percent_against_what_was_asked_for() -> None:
    row = make_goal()

    found = drawings.over_time(make_experiment(), series(row), row, ())

    assert isinstance(found, IntervalOverTime)
    assert (found.unit, found.limits) == ("%", (Limit(-20.0, "asked for", "margin"),))
    assert "asymptotic" in found.method
    assert (found.points[0].estimate, found.points[0].lower) == (pytest.approx(-31), pytest.approx(-34))


def test_the_forest_keeps_kinds_apart_and_leaves_out_what_has_no_value() -> None:
    rows = make_row(Verdict.HARM, slice="language=hi-Latn", interval=Interval(None, -0.02)), make_goal()
    evidence = make_evidence(*rows, make_row(estimate=None, units=0), make_row(kind=Kind.EVENT))

    points, percent = drawings.forest(evidence, Kind.PAIRED), drawings.forest(evidence, Kind.RATIO)

    assert [(row.label, row.tone, row.margin, row.lower) for row in points.rows] == [
        ("quality, Hinglish", "harmed", -2.0, None)
    ]
    assert [(row.label, row.tone) for row in percent.rows] == [("cost, all traffic", "better")]
    assert (points.unit, points.worse, percent.unit, percent.worse) == ("points", "left", "%", "right")


def test_a_metric_of_which_more_is_better_says_so_in_its_row() -> None:
    found = drawings.forest(make_evidence(make_goal(metric="tokens_per_second")), Kind.RATIO)

    assert found.rows[0].label == "tokens_per_second, all traffic (right is better)"


def test_the_ramp_has_a_step_and_a_mark_for_each_transition_of_the_epoch() -> None:
    end = make_transition(Phase.ROLLED_BACK, at=BEGAN + 60, split_basis_points=0, reason="x" * 500)
    found = drawings.ramp((make_transition(epoch=0), make_transition(), end), 1, BEGAN + 90)

    assert [(step.at_s, step.split_percent) for step in found.steps] == [(BEGAN, 50.0), (BEGAN + 60, 0.0)]
    assert [mark.text for mark in found.marks] == ["50 % to the treatment", "rolled back"]
    assert len(found.marks[1].why) < 200


def test_durations_are_drawn_if_the_look_has_them() -> None:
    counted = Durations()
    for served in (CONTROL, TREATMENT):
        counted.add(make_exchange(served=served, latency_ms=100.0))
    look = make_look(make_evidence(), state={"durations": counted.snapshot()})

    found = drawings.durations(make_experiment(), look, LATENCY_MS)

    assert found is not None
    assert [(curve.label, curve.role, curve.answers) for curve in found.curves] == [
        ("original", "control", 1),
        ("int4", "treatment", 1),
    ]
    assert drawings.durations(make_experiment(), look, TOKENS_PER_S) is None
    assert drawings.durations(make_experiment(), make_look(make_evidence()), LATENCY_MS) is None


def test_queueing_and_network_are_drawn_apart_from_compute_where_the_server_reports_it() -> None:
    counted = Durations()
    counted.add(make_exchange(served=CONTROL, latency_ms=100.0, server_compute_ms=80.0))
    counted.add(make_exchange(served=TREATMENT, latency_ms=100.0))
    look = make_look(make_evidence(), state={"durations": counted.snapshot()})

    compute, waiting = (drawings.durations(make_experiment(), look, measure) for measure in (COMPUTE_MS, WAITING_MS))

    assert compute is not None
    assert waiting is not None
    assert waiting.name == "queueing and network: latency less compute"
    assert [curve.label for curve in waiting.curves] == ["original"]
    assert waiting.curves[0].quantiles[0][1] == pytest.approx(20.0, rel=0.01)
    assert drawings.durations(make_experiment(), look, QUEUE_MS) is None


def test_daily_quality_is_that_of_one_metric_and_group() -> None:
    common = {"day": "2026-11-25", "pairs": 9, "mean": 0.5, "macro_f1": None, "win_rate": None}
    rows = [
        DailyRow(metric="quality", slice=slice_, variant=variant, **common)
        for slice_ in ("", "language=hi")
        for variant in (CONTROL, TREATMENT)
    ]

    found = drawings.daily(make_experiment(), rows, "quality")

    assert [(day.role, day.percent) for day in found.days] == [("control", 50.0), ("treatment", 50.0)]
