from __future__ import annotations

import pytest

from experiments.config.records import Policy
from experiments.planning.cautions import Caution, Code, Span, policy_cautions, row_cautions, unused_cautions
from experiments.planning.metrics import MetricPlan, Question, Wait
from experiments.planning.traffic import Expectations, Flow
from tests.experiments.tests_builders import make_experiment

WAIT = Wait(median_units=1_454, ninetieth_units=2_956, median_days=14.5, ninetieth_days=29.6)


def row(question: Question, chance: float | None = 1.0, metric: str = "quality", missing: str = "") -> MetricPlan:
    return MetricPlan(metric, question, limit=0.02, truth=0.04, wait=WAIT, chance=chance, missing=missing)


def cautions(*rows: MetricPlan) -> list[Caution]:
    return list(row_cautions(rows, make_experiment()))


@pytest.mark.parametrize(
    ("question", "chance", "code"),
    [
        (Question.SAFE, 0.95, None),
        (Question.SAFE, 0.7, Code.UNLIKELY),
        (Question.SAFE, 0.3, Code.UNDECIDABLE),
        (Question.GOAL, 0.95, None),
        (Question.GOAL, 0.3, Code.UNDECIDABLE),
        (Question.HARM, 0.6, None),
        (Question.HARM, 0.4, Code.BLIND),
        (Question.EVENTS, 0.4, Code.BLIND),
    ],
)
def test_what_will_rather_not_be_decided_in_time_is_warned_of(
    question: Question, chance: float, code: Code | None
) -> None:
    found = cautions(row(question, chance))

    assert [caution.code for caution in found] == ([code] if code else [])
    assert all("within 28 days" in caution.sentence for caution in found)


def test_one_goal_that_is_reached_makes_the_others_no_matter() -> None:
    slow, quick = row(Question.GOAL, 0.1, "latency"), row(Question.GOAL, 0.99, "cost")

    assert [caution.metric for caution in cautions(slow)] == ["latency"]
    assert cautions(slow, quick) == []


def test_a_thing_that_is_missing_is_said_once() -> None:
    missing = "discordance.quality is not given"

    found = cautions(row(Question.SAFE, None, missing=missing), row(Question.HARM, None, missing=missing))

    assert found == [Caution(Code.CANNOT_TELL, f"cannot tell 2 figures: {missing}")]


def test_a_goal_out_of_reach_is_no_missing_figure() -> None:
    found = cautions(row(Question.GOAL, 0.025, missing="the expected gain is too small"))

    assert [caution.code for caution in found] == [Code.OUT_OF_REACH]


def test_a_policy_without_room_for_itself_is_warned_of() -> None:
    experiment = make_experiment(policy=Policy(min_units=500, max_days=10))
    flow = Flow(units_per_day=60, requests_per_unit=1, paired_units_per_day=40)

    found = list(policy_cautions(experiment, flow, Span(12.5, 12.5, "min_units")))

    assert [caution.code for caution in found] == [Code.TOO_FEW_UNITS, Code.TOO_LONG]
    assert "about 400 units" in found[0].sentence
    assert "needs 12 days at least, for min_units, and the experiment stops after 10" in found[1].sentence
    assert list(policy_cautions(experiment, Flow(60, 1, 60), Span(9, 9, "quality"))) == []


def test_an_expectation_for_nothing_is_warned_of() -> None:
    expected = Expectations(
        requests_per_day=9,
        units_per_day=3,
        shares={"language": {"hi": 0.5}, "langage": {"hi": 0.5}},
        discordance={"quality": 0.1, "qualty": 0.1},
        gains={"latency": 0.2},
    )

    found = list(unused_cautions(make_experiment(), expected))

    assert [(caution.code, caution.metric) for caution in found] == [
        (Code.UNUSED, name) for name in ("langage", "qualty", "latency")
    ]
