"""chrF as a scorer: against control, or against the golden set's reference."""

import pytest
from sacrebleu.metrics.chrf import CHRF

from experiments.golden.sets import Expected
from experiments.scorers import Answer, PairScore
from experiments.scorers.chrf import Chrf, ChrfReference

SAID, LIKE = "your order comes tomorrow", "the order will come tomorrow"
LIKENESS = CHRF().sentence_score(LIKE, [SAID]).score / 100


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


def test_the_treatment_is_the_text_and_control_the_reference() -> None:
    assert Chrf().score(ok(SAID), ok(LIKE), None) == PairScore(1, pytest.approx(LIKENESS))
    assert pytest.approx(LIKENESS) != CHRF().sentence_score(SAID, [LIKE]).score / 100


@pytest.mark.parametrize("control", [ok(" \n"), ok(None), Answer(SAID, ok=False)])
def test_a_control_that_said_nothing_is_no_measure(control: Answer) -> None:
    assert Chrf().score(control, ok(SAID), None) is None


@pytest.mark.parametrize("treatment", [ok(""), ok(None), Answer(SAID, ok=False)])
def test_a_treatment_that_said_nothing_is_unlike(treatment: Answer) -> None:
    assert Chrf().score(ok(SAID), treatment, None) == PairScore(1, 0)


@pytest.mark.parametrize(
    "expected", [Expected(reference=SAID), Expected(exact=SAID), Expected(reference=SAID, exact="x")]
)
def test_both_answers_are_held_against_the_reference(expected: Expected) -> None:
    assert ChrfReference().score(ok(LIKE), ok(SAID), expected) == PairScore(pytest.approx(LIKENESS), 1)
    assert ChrfReference().score(ok(SAID), Answer(SAID, ok=False), expected) == PairScore(1, 0)


@pytest.mark.parametrize("expected", [None, Expected(label="x"), Expected(exact=" ")])
def test_without_a_reference_a_pair_has_no_score(expected: Expected | None) -> None:
    assert ChrfReference().score(ok(SAID), ok(SAID), expected) is None
