from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.languages.hinglish import count_words


@pytest.mark.parametrize(
    "text",
    [
        "mera order kab aayega",
        "refund ka status",
        "bhai kya hua",
        "main kal se wait kar raha hun",
        "payment fail ho gaya",
        "kripya mujhe bataiye",
        "parcel kab pahunchega",
    ],
)
def test_romanised_hindi_is_found_with_and_without_english_words(text: str) -> None:
    counts = count_words(text.split())

    assert counts.is_hinglish
    assert not counts.is_english


@pytest.mark.parametrize(
    "text",
    [
        "the main door is open",
        "are the main dishes on the menu",
        "please call rohan bhai now",
        "do me a favour and use the log",
        "he is in the us",
        "the omega watch is broken",
        "hai ricevuto il mio ordine",
        "kapan pesanan saya dikirim ke rumah",
        "hindi ko po ma access ang account ko",
        "tak to jest w porządku",
        "donde se puede comprar de todo",
    ],
)
def test_words_that_other_languages_share_do_not_make_a_text_hindi(text: str) -> None:
    assert not count_words(text.split()).is_hinglish


def test_one_word_alone_is_never_enough() -> None:
    assert not count_words(["nahi"]).is_hinglish
    assert not count_words([]).is_hinglish
    assert not count_words([]).is_english


def test_a_short_text_of_frequent_english_words_is_english() -> None:
    assert count_words(["cancel", "order"]).is_english
    assert not count_words(["cancel", "ordre", "maintenant"]).is_english
    assert not count_words(["order", "ka", "address"]).is_english


@given(st.lists(st.sampled_from(["mera", "ka", "main", "order", "xyzzy", "bhejunga"]), max_size=30))
def test_every_word_is_counted_once_and_order_does_not_matter(words: list[str]) -> None:
    counts = count_words(words)

    assert counts.unknown == words.count("xyzzy")
    assert counts.sure == words.count("mera") + words.count("bhejunga")
    assert count_words(sorted(words)) == counts
    assert not (counts.is_hinglish and counts.is_english)
