"""Agreement: control's answer is the measure, and where control gave none there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.golden.sets import Expected
from experiments.scorers import Answer, PairScore
from experiments.scorers.agreement import Agreement

AGREEMENT = Agreement()


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


@pytest.mark.parametrize(
    ("treatment", "score"),
    [
        (ok("yes sir"), 1),
        (ok("  yes\n\tsir "), 1),
        (ok("yessir"), 0),
        (ok("Yes sir"), 0),
        (ok("yes sir!"), 0),
        (ok(""), 0),
        (ok(None), 0),
        (Answer("yes sir", ok=False), 0),
        (Answer(None, ok=False), 0),
    ],
)
def test_the_treatment_agrees_if_its_words_are_controls(treatment: Answer, score: int) -> None:
    assert AGREEMENT.score(ok("yes sir"), treatment, None) == PairScore(1, score)


@pytest.mark.parametrize("control", [ok(None), Answer(None, ok=False), Answer("yes", ok=False)])
def test_where_control_gave_no_answer_there_is_nothing_to_agree_with(control: Answer) -> None:
    assert AGREEMENT.score(control, ok("yes"), None) is None


def test_a_golden_reference_changes_nothing() -> None:
    assert AGREEMENT.score(ok("a"), ok("a"), Expected(exact="b")) == PairScore(1, 1)


@given(words=st.lists(st.text("ab", min_size=1), max_size=5), data=st.data())
def test_white_space_never_makes_a_difference(words: list[str], data) -> None:
    spaces = st.text(" \t\n", min_size=1, max_size=3)
    spread = "".join(word + data.draw(spaces) for word in words)

    assert AGREEMENT.score(ok(" ".join(words)), ok(spread), None) == PairScore(1, 1)


@given(one=st.text(max_size=9), other=st.text(max_size=9))
def test_agreement_is_mutual(one: str, other: str) -> None:
    assert AGREEMENT.score(ok(one), ok(other), None) == AGREEMENT.score(ok(other), ok(one), None)
