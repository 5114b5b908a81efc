"""The accuracy bars are on `labelled_texts.tsv`: short texts of support, written for this test, labelled by hand.

Its column `part` says how each text was used: `tuning` while the word lists were made, `held_out` beside it, and
`blind` was written when they were finished (docs/slices.md has the figures).
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.languages.identify import ATTRIBUTES, CANNOT_TELL, MAX_CHARACTERS, slices_of

ALL = ["language", "script", "code_switched"]
SCRIPTS = {"latin", "devanagari", "mixed", "other", CANNOT_TELL}
Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    path = Path(__file__).parent / "labelled_texts.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row | {f"found_{name}": value for name, value in slices_of(row["text"], ALL).items()} for row in found]


def share(rows: list[Row], chosen: Callable[[Row], bool], attribute: str = "language") -> float:
    of = [row for row in rows if chosen(row)]
    assert len(of) >= 10
    return sum(row[attribute] == row[f"found_{attribute}"] for row in of) / len(of)


def test_the_labelled_set_is_large_enough_to_say_something(rows: list[Row]) -> None:
    assert len(rows) >= 150
    assert len({row["text"] for row in rows}) == len(rows)
    assert {row["language"] for row in rows} >= {"en", "hi", "hi-Latn", CANNOT_TELL}


@pytest.mark.parametrize(("language", "bar"), [("en", 0.97), ("hi", 0.97), ("hi-Latn", 0.9)])
def test_texts_of_a_language_are_recognised(rows: list[Row], language: str, bar: float) -> None:
    assert share(rows, lambda row: row["language"] == language) >= bar


@pytest.mark.parametrize("language", ["en", "hi", "hi-Latn"])
def test_what_is_called_a_language_is_that_language(rows: list[Row], language: str) -> None:
    assert share(rows, lambda row: row["found_language"] == language) >= 0.97


def test_texts_that_no_list_was_tuned_on_are_recognised_too(rows: list[Row]) -> None:
    unseen = [row for row in rows if row["part"] != "tuning"]

    assert share(unseen, lambda row: row["language"] == "hi-Latn") >= 0.9
    assert share(unseen, lambda row: row["language"] in {"en", "hi"}) >= 0.97


def test_other_languages_are_neither_english_nor_hindi(rows: list[Row]) -> None:
    others = [row for row in rows if row["language"] not in {"en", "hi", "hi-Latn", CANNOT_TELL}]

    assert len(others) >= 40
    assert not [row for row in others if row["found_language"] in {"en", "hi", "hi-Latn"}]


def test_a_text_too_short_to_tell_has_no_language(rows: list[Row]) -> None:
    assert share(rows, lambda row: row["language"] == CANNOT_TELL) == 1


@pytest.mark.parametrize(("attribute", "bar"), [("script", 0.98), ("code_switched", 0.97)])
def test_script_and_switching_are_recognised(rows: list[Row], attribute: str, bar: float) -> None:
    assert share(rows, lambda row: bool(row["text"]), attribute) >= bar


def test_only_what_is_wanted_and_known_is_answered() -> None:
    assert slices_of("where is my order", ["script"]) == {"script": "latin"}
    assert slices_of("where is my order", ["x-tenant"]) == {}
    assert set(ALL) == ATTRIBUTES


def test_an_acronym_in_a_hindi_sentence_is_no_switch() -> None:
    assert slices_of("मेरा OTP अभी तक नहीं आया", ALL) == {"language": "hi", "script": "mixed", "code_switched": "no"}
    assert slices_of("मेरा order अभी तक नहीं आया", ALL)["code_switched"] == "yes"


def test_a_word_of_devanagari_in_an_english_sentence_leaves_it_english() -> None:
    found = slices_of("What does the word नमस्ते mean, and when do people in India say it?", ALL)

    assert found == {"language": "en", "script": "latin", "code_switched": "yes"}


def test_numbers_codes_and_addresses_belong_to_no_language() -> None:
    assert set(slices_of("88213 AB-4471 https://example.com/my/order me@example.com", ALL).values()) == {CANNOT_TELL}
    assert slices_of("मेरा सामान 88213 कब आएगा https://example.com/track", ["script"]) == {"script": "devanagari"}


def test_marathi_and_nepali_are_not_called_hindi() -> None:
    assert slices_of("माझी ऑर्डर अजून आलेली नाही, ती कधी मिळेल?", ["language"]) == {"language": "mr"}
    assert slices_of("मेरो अर्डर अहिलेसम्म आएको छैन, कहिले आउँछ?", ["language"]) == {"language": "ne"}


def test_text_beyond_the_bound_is_not_read() -> None:
    start = "where is my order " * (MAX_CHARACTERS // 18 + 1)

    assert slices_of(start + "मेरा ऑर्डर कब आएगा " * 1000, ALL) == slices_of(start, ALL)


def test_a_letter_with_a_dot_below_may_be_typed_in_two_ways() -> None:
    one, two = "बिल ज़्यादा आया, क्यों?", "बिल ज\u093c्यादा आया, क्यों?"

    assert slices_of(one, ALL) == slices_of(two, ALL)


@given(st.text(max_size=200))
def test_every_text_has_an_answer_and_it_is_always_the_same(text: str) -> None:
    found = slices_of(text, ALL)

    assert list(found) == ALL
    assert all(found.values())
    assert found["script"] in SCRIPTS
    assert found["code_switched"] in {"yes", "no", CANNOT_TELL}
    assert slices_of(text, ALL) == found


def test_the_model_is_not_loaded_before_a_text_needs_it() -> None:
    code = (
        "import sys; from experiments.languages.identify import slices_of; "
        "slices_of('ok', ['language', 'script']); slices_of('mera order kab aayega', ['language']); "
        "assert 'py3langid' not in sys.modules; "
        "slices_of('where did all of the flowers go', ['language']); assert 'py3langid' in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
