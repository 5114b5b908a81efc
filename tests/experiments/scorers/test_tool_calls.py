"""The same number of tools called."""

import pytest

from experiments.scorers import Answer, PairScore
from experiments.scorers.tool_calls import ToolCalls


def calls(number: int | None, *, ok: bool = True) -> Answer:
    return Answer(None, ok=ok, tool_calls=number)


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (calls(1), calls(1), (1, 1)),
        (calls(2), calls(1), (1, 0)),
        (calls(0), calls(0), (1, 1)),
        (calls(0), calls(1), (1, 0)),
        (calls(1), calls(None), (1, 0)),
        (calls(1), calls(1, ok=False), (1, 0)),
        (calls(None), calls(None), None),
        (calls(None), calls(1), None),
        (calls(1, ok=False), calls(1), None),
    ],
)
def test_the_treatment_agrees_if_it_calls_as_many(control: Answer, treatment: Answer, score: tuple | None) -> None:
    assert ToolCalls().score(control, treatment, None) == (None if score is None else PairScore(*score))
