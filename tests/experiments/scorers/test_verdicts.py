"""A judge's reply as a verdict: the JSON that it was asked for, what comes near it, and what is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers.asking import Failed
from experiments.scorers.verdicts import Verdict, read_verdict


@pytest.mark.parametrize(
    ("content", "picked"),
    [
        ('{"reason": "r", "verdict": "A"}', "A"),
        ('```json\n{"verdict": "b"}\n```', "B"),
        ('Here it is: {"verdict": "Answer A"} - done.', "A"),
        ('<think>B looks good, {"verdict": "B"}</think>{"verdict": "tie"}', "tie"),
        ("**B**", "B"),
        ("Tie.", "tie"),
        ("[[A]]", "A"),
        ('{"verdict": "A"} I repeat: {"verdict": "A"}', "A"),
        ('{"reason": "it says {\\"verdict\\": \\"B\\"}", "verdict": "A"}', "A"),
        ('{ not json {"verdict": "A"}', "A"),
    ],
)
def test_a_verdict_is_read(content: str, picked: str) -> None:
    found = read_verdict(content, ties=True)

    assert isinstance(found, Verdict)
    assert found.picked == picked


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no text in the reply"),
        ("  ", "no text in the reply"),
        ("A is better than B", "no verdict in the reply"),
        ('{"verdict": "C"}', "no verdict in the reply"),
        ('{"verdict": ["A"]}', "no verdict in the reply"),
        ("[1, 2]", "no verdict in the reply"),
        ("{" * 5_000, "no verdict in the reply"),
        ('{"verdict": "A"} The other said {"verdict": "B"}', "more than one verdict"),
    ],
)
def test_what_is_no_verdict_is_told_and_not_guessed(content: str | None, reason: str) -> None:
    assert read_verdict(content, ties=True) == Failed(reason)


def test_a_tie_where_none_is_allowed_is_no_verdict() -> None:
    assert read_verdict('{"verdict": "tie"}', ties=False) == Failed("a tie, where none is allowed")


@given(reason=st.text(max_size=400), picked=st.sampled_from(["A", "B", "tie"]))
def test_whatever_the_reason_says_the_verdict_is_the_judges(reason: str, picked: str) -> None:
    found = read_verdict(json.dumps({"reason": reason, "verdict": picked}), ties=True)

    assert isinstance(found, Verdict)
    assert found.picked == picked
    assert len(found.reason) <= 300
    assert len(found.reason.splitlines()) <= 1
