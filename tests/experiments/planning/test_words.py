from __future__ import annotations

import pytest

from experiments.planning.metrics import MetricPlan, Question, Wait
from experiments.planning.words import days, in_words, sentence, undecided

WAIT = Wait(median_units=1_454, ninetieth_units=2_956, median_days=14.5, ninetieth_days=29.6)


def row(question: Question, **changes: object) -> MetricPlan:
    values = {"metric": "quality", "slice": "language=hi-Latn", "limit": 0.02, "truth": 0.04, "wait": WAIT}
    return MetricPlan(question=question, **(values | {"chance": 0.497, "smallest": 0.031} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question.SAFE, ["if there is no loss, one of 2 points is ruled out", "the smallest margin is 3.1 points"]),
        (Question.HARM, ["if 4 points are lost, more than the tolerated 2 points show", "a loss of 3.1 points"]),
        (Question.EVENTS, ["0.04 times as many as with control", "0.03 times as many"]),
        (Question.GOAL, ["if it is 4 % lower, 2 % are proven", "a gain of 3.1 %"]),
    ],
)
def test_each_question_is_answered_in_a_sentence(question: Question, said: list[str]) -> None:
    found = sentence(row(question), 28)

    assert found.startswith("quality, Hinglish: ")
    assert "after 14 days (1,454 units) in one of two cases, 30 days (2,956 units) in nine of ten" in found
    assert "within 28 days the chance is 50 %" in found
    assert all(part in found for part in said)


@pytest.mark.parametrize("question", list(Question))
def test_what_is_missing_is_said_in_place_of_a_figure(question: Question) -> None:
    found = sentence(row(question, missing="error_rate is not given"), 28)

    assert "cannot tell how long" in found
    assert found.endswith("takes: error_rate is not given")


@pytest.mark.parametrize(
    ("chance", "said"),
    [(0.0, "below 1 %"), (0.004, "below 1 %"), (1.0, "above 99 %"), (0.9, "90 %"), (None, "unknown")],
)
def test_no_chance_is_said_to_be_certain(chance: float | None, said: str) -> None:
    assert f"the chance is {said}" in sentence(row(Question.SAFE, chance=chance), 28)


def test_where_nothing_can_be_seen_it_is_said() -> None:
    assert "no margin can be ruled out" in sentence(row(Question.SAFE, smallest=None), 28)
    assert "no effect however large" in sentence(row(Question.HARM, smallest=None), 28)


def test_what_stays_undecided_is_said_with_its_arithmetic() -> None:
    found = undecided(row(Question.SAFE, metric="errors", slice=""), 7, "nothing will be shown")

    assert found.startswith(
        "the error rate, all traffic: nothing will be shown within 7 days (chance 50 %): about 14 days"
    )
    assert "no number of days is enough" in undecided(row(Question.SAFE, wait=None), 7, "nothing will be shown")


def test_days_are_rounded_to_what_they_are_worth() -> None:
    assert [days(n) for n in (0.04, 9.94, 14.6, 3_651)] == ["0.0 days", "9.9 days", "15 days", "more than ten years"]
    assert "nine of ten" in in_words(WAIT)
