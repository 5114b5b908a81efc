"""Exact match: against the reference, not against each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.golden.sets import Expected
from experiments.scorers import Answer, PairScore
from experiments.scorers.exact import Exact

PARIS = Expected(exact=" Paris\n")
FAILED = Answer(None, ok=False)


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        (ok("Paris"), ok("Paris"), (1, 1)),
        (ok(" Paris "), ok("\nParis"), (1, 1)),
        (ok("Paris"), ok("paris"), (1, 0)),
        (ok("London"), ok("Paris"), (0, 1)),
        (ok("London"), ok("London"), (0, 0)),
        (ok("Paris"), ok("Paris."), (1, 0)),
        (ok("Paris"), FAILED, (1, 0)),
        (FAILED, ok("Paris"), (0, 1)),
        (ok("Paris"), Answer("Paris", ok=False), (1, 0)),
        (ok(None), ok(""), (0, 0)),
    ],
)
def test_each_answer_is_held_against_the_reference(control: Answer, treatment: Answer, score: tuple) -> None:
    assert Exact().score(control, treatment, PARIS) == PairScore(*score)


@pytest.mark.parametrize("expected", [None, Expected(), Expected(label="Paris")])
def test_without_a_reference_a_pair_has_no_score(expected: Expected | None) -> None:
    assert Exact().score(ok("Paris"), ok("Paris"), expected) is None


def test_an_empty_reference_is_a_reference() -> None:
    assert Exact().score(ok("  "), ok("x"), Expected(exact="")) == PairScore(1, 0)


answers = st.builds(Answer, st.none() | st.sampled_from(["Paris", " Paris", "x"]), st.booleans())


@given(one=answers, other=answers)
def test_which_side_is_the_treatment_makes_no_difference_to_a_side_s_own_score(one: Answer, other: Answer) -> None:
    there, back = Exact().score(one, other, PARIS), Exact().score(other, one, PARIS)

    assert there is not None
    assert back is not None
    assert tuple(there) == tuple(back)[::-1]
    assert set(there) <= {0.0, 1.0}
