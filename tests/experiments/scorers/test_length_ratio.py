"""The ratio of two answers' lengths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers import Answer, PairScore
from experiments.scorers.length_ratio import LengthRatio


def ratio(control: str, treatment: str) -> float:
    found = LengthRatio().score(Answer(control, ok=True), Answer(treatment, ok=True), None)
    assert found is not None
    assert found.control == 1
    return found.treatment


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        ("abcd", "wxyz", 1),
        ("abcd", "ab", 0.5),
        ("ab", "abcd", 0.5),
        ("a  \n b", "a b", 1),
        ("caf\u00e9", "cafe\u0301", 1),
        ("", "", 1),
        ("", "a", 0),
        ("a", "", 0),
    ],
)
def test_the_shorter_length_is_divided_by_the_longer(control: str, treatment: str, score: float) -> None:
    assert ratio(control, treatment) == score


@given(one=st.text(), other=st.text())
def test_the_ratio_is_mutual_and_in_bounds(one: str, other: str) -> None:
    assert 0 <= ratio(one, other) == ratio(other, one) <= 1


def test_a_failed_treatment_has_no_length() -> None:
    assert LengthRatio().score(Answer("a", ok=True), Answer("a", ok=False), None) == PairScore(1, 0)
