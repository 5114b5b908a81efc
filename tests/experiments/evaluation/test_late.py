"""After a promotion every guardrail has its detector, and all share one rate of false alarms."""

from tests_builders import make_experiment

from analysis.e_detector import alarm_threshold
from experiments.config.records import Guardrail, Policy
from experiments.evaluation.bad_events import Flip
from experiments.evaluation.late import LateWatch
from experiments.evidence import RULES, Kind

GUARDRAILS = (
    Guardrail(name="quality", scorer="exact", margin=0.02),
    Guardrail(name="errors", max_relative=1.2, margin=0.01),
    Guardrail(name="thumbs_up", feedback=True, max_relative=1.2),
)


def watch(holdback: float = 10.0) -> LateWatch:
    return LateWatch(make_experiment(guardrails=GUARDRAILS, policy=Policy(holdback_percent=holdback)))


def test_pairs_and_events_are_watched_and_share_the_rate() -> None:
    rows = list(watch().rows([("quality", -1.0), ("errors", 0.0), ("quality", 0.0)], [Flip("errors", 0.9, 1)], RULES))

    assert [(row.metric, row.kind, row.units) for row in rows] == [
        ("quality", Kind.PAIRED, 2),
        ("errors", Kind.PAIRED, 1),
        ("errors", Kind.EVENT, 1),
        ("thumbs_up", Kind.EVENT, 0),
    ]
    assert {row.threshold for row in rows} == {alarm_threshold(4 * 300_000)}


def test_without_a_holdback_there_is_no_coin_and_the_version_before_watched_none() -> None:
    for rows in (watch(holdback=0.0).rows([], [], RULES), watch().rows([], [], 1)):
        found = list(rows)
        assert [row.kind for row in found] == [Kind.PAIRED, Kind.PAIRED]
        assert found[0].threshold == alarm_threshold(2 * 300_000)


def test_events_that_fall_to_the_treatment_alone_raise_the_alarm_and_those_that_follow_the_split_do_not() -> None:
    fair, harmed = watch(), watch()
    split = [Flip("errors", 0.9, int(n % 10 > 0)) for n in range(500)]
    [*_, quiet, _] = fair.rows([], split, RULES)
    for _ in range(5):
        [*_, alarm, _] = harmed.rows([], [Flip("errors", 0.9, 1)] * 100, RULES)

    assert quiet.peak < quiet.threshold
    assert alarm.peak >= alarm.threshold
    assert alarm.units == 500


def test_a_metric_that_begins_anew_is_watched_anew_on_pairs_and_its_events_go_on() -> None:
    found = watch()
    list(found.rows([("errors", -1.0)] * 50, [Flip("errors", 0.9, 1)], RULES))

    found.begin_anew("errors")

    assert [row.units for row in found.rows([], [], RULES) if row.metric == "errors"] == [0, 1]
