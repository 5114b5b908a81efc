"""Answers that were cut off, by the reason that their backend gives."""

import pytest

from experiments.scorers import Answer, PairScore
from experiments.scorers.truncated import Truncated


def ended(reason: str | None) -> Answer:
    return Answer("yes", ok=True, finish_reason=reason)


@pytest.mark.parametrize(
    ("reason", "score"),
    [("stop", 1), ("tool_calls", 1), ("completed", 1), ("length", 0), ("LENGTH", 0), ("max_output_tokens", 0)],
)
def test_a_limit_of_tokens_cuts_an_answer_off(reason: str, score: int) -> None:
    assert Truncated().score(ended("stop"), ended(reason), None) == PairScore(1, score)


def test_a_backend_that_gives_no_reason_cannot_be_judged_and_a_failure_is_no_whole_answer() -> None:
    assert Truncated().score(ended("stop"), ended(None), None) is None
    assert Truncated().score(ended("stop"), ended("stop")._replace(ok=False), None) == PairScore(1, 0)
