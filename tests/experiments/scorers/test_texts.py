"""Words of any script, and what makes no difference between two texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers.texts import normalised, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Your order, 17.", ["your", "order", "17"]),
        ("हिन्दी में लिखिए।", ["हिन्दी", "में", "लिखिए"]),
        ("क्\u200dया", ["क्या"]),
        ("१२३ रुपये", ["123", "रुपये"]),
        ("don't", ["don", "t"]),
        ("தமிழ் 中文", ["தமிழ்", "中文"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("  \n", []),
        ("!?…", []),
    ],
)
def test_a_word_is_letters_with_their_marks_and_digits(text: str, found: list[str]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes, sir!", "yes sir"),
        ("“Refund” — done.", '"refund": done'),
        ("आपका ऑर्डर आ गया।", "आपका ऑर्डर आ गया"),
        ("मूल्य ४२ रुपये", "मूल्य 42 रुपये"),
        ("caf\u00e9", "cafe\u0301"),
        ("- item one\n- item two", "item one; item two"),
        ("2020-21", "2020 21"),
    ],
)
def test_case_punctuation_and_spacing_make_no_difference(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("-5", "5"), ("it is –5", "it is 5"), ("5 %", "5"), ("$5", "₹5"), ("3.5", "35"), ("a+b", "a b"), ("कम", "काम")],
)
def test_what_carries_meaning_does(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(text=st.text())
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(text=st.text())
def test_both_spellings_of_a_letter_are_one(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(text)
