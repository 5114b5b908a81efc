"""ROUGE-L is rouge-score's, with words of every script."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer

from experiments.scorers import Answer, PairScore
from experiments.scorers.rouge_l import RougeL, rouge_l
from experiments.scorers.texts import words


class Words(Tokenizer):
    """Our words, for their scorer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


OURS_IN_THEIRS, THEIRS = RougeScorer(["rougeL"], tokenizer=Words()), RougeScorer(["rougeL"])

# rouge-score's own test cases (rouge/rouge_scorer_test.py): reference, text, F1.
PUBLISHED = [
    ("testing one two", "testing one", 4 / 5),
    ("testing one two", "testing two", 4 / 5),
    ("testing one two", "", 0),
    ("w1 w2 w3 w4 w5", "/", 0),
]


@pytest.mark.parametrize(("reference", "text", "f1"), PUBLISHED)
def test_the_librarys_published_cases_come_out(reference: str, text: str, f1: float) -> None:
    assert rouge_l(text, reference) == pytest.approx(f1)


def test_identical_hindi_is_identical_where_the_librarys_own_words_find_nothing() -> None:
    text = "आपका ऑर्डर कल आएगा।"

    assert rouge_l(text, text) == 1
    assert THEIRS.score(text, text)["rougeL"].fmeasure == 0


@given(text=st.text("ab कि।", max_size=20), reference=st.text("ab कि।", max_size=20))
def test_any_texts_score_as_in_the_library_with_the_same_words(text: str, reference: str) -> None:
    found, theirs = rouge_l(text, reference), OURS_IN_THEIRS.score(reference, text)["rougeL"].fmeasure

    assert found is None if not words(reference) else found == pytest.approx(theirs)


@given(text=st.text("ab .", max_size=20), reference=st.from_regex(re.compile("[ab]+[ab .]{0,20}"), fullmatch=True))
def test_english_scores_as_in_the_library_with_its_own_words(text: str, reference: str) -> None:
    assert rouge_l(text, reference) == pytest.approx(THEIRS.score(reference, text)["rougeL"].fmeasure)


def test_control_is_the_reference_and_a_failure_scores_nothing() -> None:
    control = Answer("testing one two", ok=True)

    assert RougeL().score(control, Answer("testing two", ok=True), None) == PairScore(1, pytest.approx(0.8))
    assert RougeL().score(control, Answer(None, ok=False), None) == PairScore(1, 0)
    assert RougeL().score(Answer("…", ok=True), control, None) is None
