"""Agreement apart from case, punctuation and spacing."""

import pytest

from experiments.scorers import Answer, PairScore
from experiments.scorers.agreement_normalised import AgreementNormalised

SCORER = AgreementNormalised()


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


@pytest.mark.parametrize(
    ("control", "treatment", "score"),
    [
        ("Yes, sir!", "yes sir", 1),
        ("कुल ४२ रुपये।", "कुल 42 रुपये", 1),
        ("yes", "no", 0),
        ("It is -5.", "It is 5.", 0),
        ("", "", 1),
        ("", "yes", 0),
    ],
)
def test_the_treatment_agrees_if_it_says_the_same(control: str, treatment: str, score: int) -> None:
    assert SCORER.score(ok(control), ok(treatment), None) == PairScore(1, score)


def test_a_failed_treatment_disagrees_and_a_failed_control_is_no_measure() -> None:
    assert SCORER.score(ok("yes"), Answer("yes", ok=False), None) == PairScore(1, 0)
    assert SCORER.score(Answer("yes", ok=False), ok("yes"), None) is None
