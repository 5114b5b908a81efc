"""Two sides of a pair: what a failure costs, and what an answer that cannot be read does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers import Answer, PairScore
from experiments.scorers.sides import against_control, each, referred

READ, EMPTY, CALL = Answer("yes", ok=True), Answer("", ok=True, empty=True), Answer(None, ok=True, tool_calls=1)
UNREAD, FAILED, BROKEN = Answer(None, ok=True), Answer(None, ok=False), Answer("ye", ok=False)


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (READ, READ, (0.7, 0.7)),
        (READ, FAILED, (0.7, 0)),
        (BROKEN, READ, (0, 0.7)),
        (FAILED, FAILED, (0, 0)),
        (READ, UNREAD, (0.7, 0)),
        (UNREAD, READ, (0, 0.7)),
        (UNREAD, UNREAD, None),
        (CALL, EMPTY, (0.7, 0.7)),
        (UNREAD, FAILED, (0, 0)),
    ],
)
def test_each_answer_is_judged_by_itself_and_no_failure_falls_out(control, treatment, score: tuple | None) -> None:
    assert each(control, treatment, lambda _: 0.7) == (None if score is None else PairScore(*score))


@pytest.mark.parametrize("pair", [(READ, CALL), (CALL, READ), (FAILED, CALL)])
def test_where_the_judge_cannot_tell_of_one_answer_the_pair_has_no_score(pair: tuple[Answer, Answer]) -> None:
    assert each(*pair, lambda answer: None if answer.text is None else 1.0) is None


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [(READ, READ, (0.4, 0.4)), (READ, FAILED, (0.4, 0)), (UNREAD, READ, (0, 0.4)), (UNREAD, BROKEN, (0, 0))],
)
def test_against_a_reference_an_answer_without_a_text_is_wrong(control, treatment, score: tuple) -> None:
    assert referred(control, treatment, lambda _: 0.4) == PairScore(*score)


def test_a_reference_that_cannot_tell_leaves_the_pair_out() -> None:
    assert referred(READ, FAILED, lambda _: None) is None


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (READ, READ, (1, 0.3)),
        (READ, FAILED, (1, 0)),
        (READ, UNREAD, (1, 0)),
        (UNREAD, READ, None),
        (BROKEN, READ, None),
        (FAILED, FAILED, None),
    ],
)
def test_control_is_the_measure_where_it_answered(control, treatment, score: tuple | None) -> None:
    assert against_control(control, treatment, lambda *_: 0.3) == (None if score is None else PairScore(*score))


def test_the_likeness_gets_controls_text_first() -> None:
    seen = []
    against_control(READ, EMPTY, lambda *texts: seen.append(texts))

    assert seen == [("yes", "")]


answers = st.builds(
    Answer,
    st.none() | st.text(max_size=3),
    st.booleans(),
    tool_calls=st.none() | st.integers(0, 2),
    empty=st.booleans(),
)


@given(control=answers, treatment=answers)
def test_a_failed_side_never_scores_more_than_nothing(control: Answer, treatment: Answer) -> None:
    for found in (each(control, treatment, lambda _: 1.0), referred(control, treatment, lambda _: 1.0)):
        if found is not None:
            assert control.ok or found.control == 0
            assert treatment.ok or found.treatment == 0
