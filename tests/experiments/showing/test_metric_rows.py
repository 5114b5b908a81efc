"""The tables: every number with its unit, every verdict in words."""

import math

from tests_builders import make_experiment
from tests_standings import make_evidence, make_goal, make_row

from experiments.evidence import Interval, Kind, Verdict
from experiments.showing.metric_rows import metric_rows, paired_tables, slice_rows


def test_a_guardrail_is_shown_in_points_and_a_goal_in_percent() -> None:
    quality, cost = metric_rows(make_experiment(), make_evidence(make_row(Verdict.NONINFERIOR), make_goal()))

    assert (quality.control, quality.treatment, quality.difference) == ("80.0 %", "78.0 %", "-2.0 points")
    assert (quality.interval, quality.margin, quality.verdict_text) == ("-5.0 to +1.0 points", "2 points", "not worse")
    assert (cost.control, cost.difference, cost.interval) == ("0.01 USD", "-31 %", "-34 to -28 %")
    assert (cost.verdict_text, cost.method) == ("better, as asked", "95 %, valid at every look, asymptotic")


def test_the_way_to_a_proof_is_the_share_of_the_threshold_that_is_reached() -> None:
    peak = make_row(peak_log_e_noninferior=math.log(40) / 2, peak_log_e_harm=1e9, weight=0.5)
    (row,) = metric_rows(make_experiment(), make_evidence(peak))

    assert row.safe_share == 0.5
    assert row.harm_share == 1.0


def test_what_cannot_be_computed_says_why_and_what_is_only_watched_says_that() -> None:
    missing = make_row(Verdict.NOT_ESTIMABLE, reason="no unit has been analysed yet", estimate=None, interval=None)
    watched = make_row(role="monitor")
    event = make_row(kind=Kind.EVENT, metric="errors", margin=None)
    texts = [row.verdict_text for row in metric_rows(make_experiment(), make_evidence(missing, watched, event))]

    assert texts == [
        "cannot be computed: no unit has been analysed yet",
        "only watched",
        "no harm proven; watched for harm only",
    ]


def test_an_unbounded_side_is_said_to_be_so() -> None:
    (row,) = metric_rows(make_experiment(), make_evidence(make_row(interval=Interval(None, 0.01))))

    assert row.interval == "unbounded to +1.0 points"


def test_harmed_groups_come_first() -> None:
    groups = make_row(slice="language=en", units=900), make_row(Verdict.HARM, slice="language=hi-Latn", units=30)
    rows = slice_rows(make_experiment(), make_evidence(make_row(), *groups))

    assert [(row.place, row.tone) for row in rows] == [("Hinglish", "bad"), ("English", "waiting")]


def test_right_and_wrong_answers_make_four_counts_that_add_up() -> None:
    (table,) = paired_tables(make_evidence(make_row()))

    assert (table.both_right, table.losses, table.wins, table.both_wrong) == (292, 28, 20, 60)
    assert table.text == "both right 292, only control 28, only the treatment 20, both wrong 60 of 400 pairs"


def test_graded_scores_have_no_right_and_wrong() -> None:
    graded = make_row(control_mean=0.7731, treatment_mean=0.7612)
    (table,) = paired_tables(make_evidence(graded))

    assert table.both_right is None
    assert table.text == "28 scored lower with the treatment, 20 higher, 352 the same of 400 pairs"


def test_ratios_and_unpaired_events_have_no_paired_table() -> None:
    assert paired_tables(make_evidence(make_goal(), make_row(kind=Kind.EVENT))) == []
