"""Answers that say something, and answers that say nothing."""

import pytest

from experiments.scorers import Answer, PairScore
from experiments.scorers.empty import Empty

GOOD = Answer("yes", ok=True)


@pytest.mark.parametrize(
    ("treatment", "score"),
    [
        (GOOD, 1),
        (Answer(None, ok=True, tool_calls=1), 1),
        (Answer("", ok=True, empty=True), 0),
        (Answer("null", ok=True, empty=True), 0),
        (Answer(" \n", ok=True), 0),
        (Answer("yes", ok=False), 0),
        (Answer(None, ok=True), 0),
    ],
)
def test_an_answer_says_something_by_a_text_or_a_call(treatment: Answer, score: int) -> None:
    assert Empty().score(GOOD, treatment, None) == PairScore(1, score)


def test_two_answers_that_cannot_be_read_say_nothing_of_emptiness() -> None:
    assert Empty().score(Answer(None, ok=True), Answer(None, ok=True), None) is None
