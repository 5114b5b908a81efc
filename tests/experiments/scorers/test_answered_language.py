"""Answers in the user's language and script."""

import pytest

from experiments.scorers import Answer, PairScore
from experiments.scorers.answered_language import AnsweredLanguage, tongue_of

HINDI, HINDI_ANSWER = "मेरा ऑर्डर कब आएगा?", "आपका ऑर्डर कल तक आ जाएगा।"
HINGLISH, HINGLISH_ANSWER = "mera order kab tak aayega?", "aapka order kal tak aa jayega"
ENGLISH, ENGLISH_ANSWER = "Where is my order?", "Your order will be with you tomorrow."


def score(prompt: str | None, control: str | None, treatment: str | None) -> PairScore | None:
    said = (Answer(text, ok=True, prompt=prompt) for text in (control, treatment))
    return AnsweredLanguage().score(*said, None)


@pytest.mark.parametrize(
    ("prompt", "right", "wrong"),
    [
        (HINDI, HINDI_ANSWER, ENGLISH_ANSWER),
        (HINDI, HINDI_ANSWER, HINGLISH_ANSWER),
        (HINDI, "आपका ऑर्डर iPhone Pro Max कल तक आ जाएगा।", ENGLISH_ANSWER),
        (HINGLISH, HINGLISH_ANSWER, HINDI_ANSWER),
        (HINGLISH, HINGLISH_ANSWER, ENGLISH_ANSWER),
        (ENGLISH, ENGLISH_ANSWER, HINGLISH_ANSWER),
        (ENGLISH, ENGLISH_ANSWER, HINDI_ANSWER),
        (ENGLISH, ENGLISH_ANSWER, "कल"),  # too short to know its language, and not in the script
    ],
)
def test_an_answer_fits_if_it_is_in_the_prompts_language_and_script(prompt: str, right: str, wrong: str) -> None:
    assert score(prompt, right, wrong) == PairScore(1, 0)
    assert score(prompt, wrong, right) == PairScore(0, 1)


@pytest.mark.parametrize(
    ("prompt", "answer"), [(None, ENGLISH_ANSWER), ("17?", ENGLISH_ANSWER), (ENGLISH, "ok"), (ENGLISH, None)]
)
def test_what_is_too_short_to_tell_is_left_out(prompt: str | None, answer: str | None) -> None:
    assert score(prompt, answer, answer) is None


def test_a_failed_answer_is_in_no_language() -> None:
    good = Answer(ENGLISH_ANSWER, ok=True, prompt=ENGLISH)

    assert AnsweredLanguage().score(good, good._replace(ok=False), None) == PairScore(1, 0)


def test_the_opening_of_a_text_is_what_counts() -> None:
    assert tongue_of(f"{ENGLISH_ANSWER * 10} {HINDI_ANSWER * 50}") == tongue_of(ENGLISH_ANSWER)
