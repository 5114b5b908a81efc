"""chrF is sacreBLEU's, to the last digit but rounding, for any two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from experiments.scorers.character_ngrams import chrf

THEIRS = CHRF()

# sacreBLEU's own test cases (test/test_chrf.py, "effective order"); beta makes no difference to any of them.
PUBLISHED = [
    ("a", "a", 100.0),
    ("", "reference", 0.0),
    ("a b c", "a b c", 100.0),
    ("a b c", "abc", 100.0),
    ("", "c", 0.0),
    ("aa", "ab", 25.0),
]
SENTENCES = [
    ("Co nás nejvíc trápí, protože lékaři si vybírají.", "Nejvíce smutní jsme z toho, že musíme rozhodovat o tom."),
    ("आपका ऑर्डर सोमवार को भेज दिया गया है।", "आपका ऑर्डर सोमवार को भेजा गया था, वह तीन दिन में आएगा।"),
    ("Aapka order kal aayega", "Aapka order kal tak pahunch jayega"),
    ("注文は明日届きます", "ご注文は明日届く予定です"),
]


@pytest.mark.parametrize(("text", "reference", "score"), PUBLISHED)
def test_the_librarys_published_cases_come_out(text: str, reference: str, score: float) -> None:
    assert chrf([text], reference) == [pytest.approx(score / 100)]


@pytest.mark.parametrize(("text", "reference"), SENTENCES)
def test_sentences_in_many_scripts_score_as_in_the_library(text: str, reference: str) -> None:
    found = chrf([text, reference], reference)

    assert found == [pytest.approx(THEIRS.sentence_score(text, [reference]).score / 100), 1.0]
    assert 0 < found[0] < 1


texts = st.text("ab c\nक्ष", max_size=12) | st.text(max_size=30)


@given(text=texts, other=texts, reference=texts)
def test_any_texts_score_as_in_the_library(text: str, other: str, reference: str) -> None:
    theirs = [THEIRS.sentence_score(each, [reference]).score / 100 for each in (text, other)]

    assert chrf([text, other], reference) == pytest.approx(theirs)


@given(text=st.text(st.characters(), max_size=20), reference=st.text(st.characters(), max_size=20))
def test_every_score_is_in_bounds_whatever_the_text(text: str, reference: str) -> None:
    assert 0 <= chrf([text], reference)[0] <= 1


def test_half_a_surrogate_pair_is_a_character_like_any_other() -> None:
    assert chrf(["\ud800"], "\ud800") == [1.0]
