"""Refusals in English, Hindi and Hinglish, and answers that look like one and are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.scorers import Answer, PairScore, ScorerError
from experiments.scorers.refusal import Refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m unable to assist with this request.",
    "As an AI language model, I cannot give medical advice.",
    "I must respectfully decline.",
    "We are not able to share that information.",
    "I'd rather not say.",
    "That is against our usage policies.",
    "Sorry, I am not able to provide this.",
    "I apologize, but I can't really comply with it.",
    "माफ़ कीजिए, मैं इसमें आपकी मदद नहीं कर सकता।",
    "मैं इस सवाल का जवाब नहीं दे सकती।",
    "क्षमा करें, मैं यह जानकारी देने में असमर्थ हूँ।",
    "खेद है, मैं यह नहीं बता सकता।",
    "आपके अनुरोध को पूरा करने में असमर्थ हूँ।",
    "Maaf kijiye, main isme aapki madad nahi kar sakta.",
    "Sorry, main ye nahin bata sakti",
    "Main iska jawab dene mein asamarth hoon.",
]
ANSWERS = [
    "I cannot find your order; please send its number.",
    "Sorry for the delay, your parcel is on its way.",
    "You can't return it after 7 days.",
    "I am sorry you had to wait. I have refunded it.",
    "We will help you. You cannot cancel it.",
    "Our policy is a refund within 7 days.",
    "",
    "मुझे खेद है कि देर हुई। आपका ऑर्डर कल आएगा।",
    "आप 7 दिन के बाद इसे वापस नहीं कर सकते।",
    "माफ़ कीजिए, आप 7 दिन के बाद इसे वापस नहीं कर सकते।",
    "Maaf kijiye, order kal aayega.",
    "Aap 7 din ke baad return nahi kar sakte.",
    "Maaf kijiye, 7 din ke baad aap return nahi kar sakte.",
]
GOOD = Answer("Your order comes tomorrow.", ok=True)


def score(text: str, scorer: Refusal | None = None) -> float:
    found = (scorer or Refusal()).score(GOOD, Answer(text, ok=True), None)
    assert found is not None
    assert found.control == 1
    return found.treatment


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_known_by_its_opening(text: str) -> None:
    assert score(text) == 0
    assert score(f"  {text.upper()}\n\nAnything else?") == 0


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_with_an_apology_or_a_no_is_none(text: str) -> None:
    assert score(text) == 1


@pytest.mark.parametrize(("reason", "expected"), [("refusal", 0), ("content_filter", 0), ("stop", 1)])
def test_a_backend_may_say_it_in_so_many_words(reason: str, expected: int) -> None:
    treatment = GOOD._replace(finish_reason=reason)

    assert Refusal().score(GOOD, treatment, None) == PairScore(1, expected)


def test_only_the_opening_is_looked_at() -> None:
    assert score(f"{'Well. ' * 40}{REFUSALS[0]}") == 0
    assert score(f"{'Well. ' * 60}{REFUSALS[0]}") == 1


def test_more_patterns_are_added_to_ours() -> None:
    scorer = Refusal(patterns=["ask (?:a|your) lawyer", "वकील से पूछिए"])

    assert [score(text, scorer) for text in ("Ask a LAWYER.", "वकील से पूछिए", REFUSALS[0], ANSWERS[0])] == [0, 0, 0, 1]
    assert len({Refusal().version, scorer.version, Refusal(patterns=["x"]).version}) == 3


def test_a_pattern_that_cannot_be_read_is_refused_with_its_number() -> None:
    with pytest.raises(ScorerError, match=r"^patterns: number 2 is no pattern that RE2 can read: missing"):
        Refusal(patterns=["good", "(bad"])


@pytest.mark.parametrize("pattern", ["", "x*", "a|"])
def test_a_pattern_that_every_answer_has_is_refused(pattern: str) -> None:
    with pytest.raises(ScorerError, match=r"^patterns: number 1 is found in every text"):
        Refusal(patterns=[pattern])


def test_a_failure_counts_as_no_answer_and_a_call_of_a_tool_is_one() -> None:
    assert Refusal().score(GOOD, GOOD._replace(ok=False), None) == PairScore(1, 0)
    assert Refusal().score(GOOD, Answer(None, ok=True, tool_calls=1), None) == PairScore(1, 1)


@given(text=st.text(st.characters(), max_size=50))
def test_no_answer_makes_it_raise(text: str) -> None:
    assert score(text) in {0, 1}
