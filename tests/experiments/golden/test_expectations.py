"""Expectations: each rule is met by what it means and by nothing else, in every script, in linear time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.golden.expectations import RULES, Expected, check, extract, flaw, token_f1

ORDER = {"type": "object", "properties": {"order": {"const": "17"}}, "required": ["order"]}


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (Expected(exact="Paris"), " Paris\n", "paris"),
        (Expected(exact="caf\u00e9"), "cafe\u0301", "cafe"),
        (Expected(contains=("refund", "7 days")), "Your REFUND comes within ७   days.", "Your refund comes."),
        (Expected(contains=("iPhone",), case_sensitive=True), "an iPhone", "an iphone"),
        (Expected(contains=("क्या",)), "क्\u200dया है", "क्य"),
        (Expected(regex=r"^\d+$"), "१२३\n", "12a"),
        (Expected(regex=r"^\p{Devanagari}+$"), "नहीं", "nahi"),
        (Expected(json_schema=ORDER), '{"order": "17"}', '```json\n{"order": "17"}\n```'),
        (Expected(json_schema=ORDER), '{"order": "17"}', '{"order": 17}'),
        (Expected(json_schema={"type": "string", "pattern": "^(a+)+$"}), '"aaa"', '"aab"'),
        (Expected(label="refund", label_from="json:a.intent"), '{"a": {"intent": "Refund"}}', '{"intent": "refund"}'),
        (Expected(label="3", label_from="json:n"), '{"n": 3}', '{"n": null}'),
        (Expected(label="no", label_from=r"regex:(?i)^\W*(yes|no)\b"), "No, sorry.", "nope"),
        (Expected(reference="within seven days", threshold=0.6), "Within seven days.", "never"),
        (Expected(contains=("a",), regex="b"), "ab", "a"),
    ],
)
def test_a_rule_is_met_by_what_it_means(expected: Expected, right: str, wrong: str) -> None:
    assert flaw(expected) is None
    assert check(expected, right) is True
    assert check(expected, wrong) is False


@pytest.mark.parametrize("expected", [Expected(), Expected(label="refund"), Expected(reference="in a week")])
def test_what_nobody_here_can_judge_is_neither_right_nor_wrong(expected: Expected) -> None:
    assert check(expected, "refund") is None


def test_one_broken_rule_is_enough_however_unclear_the_others_are() -> None:
    expected = Expected(exact="x", reference="in a week")

    assert check(expected, "y") is False
    assert check(expected, "x") is None


def test_a_label_may_be_found_where_the_experiment_says_unless_the_item_says_otherwise() -> None:
    assert check(Expected(label="refund"), '{"intent": "refund"}', "json:intent") is True
    assert check(Expected(label="refund", label_from="json:topic"), '{"intent": "refund"}', "json:intent") is False


@pytest.mark.parametrize(
    ("expected", "key", "rule"),
    [
        (Expected(), "", "must say what is expected"),
        (Expected(exact="x", label_from="json:a"), "from", "goes with label"),
        (Expected(exact="x", case_sensitive=True), "case_sensitive", "goes with contains"),
        (Expected(exact="x", threshold=0.5), "threshold", "goes with reference"),
        (Expected(contains=()), "contains", "at least one text"),
        (Expected(contains=("a", " \u200b")), "contains", "none that is empty"),
        (Expected(reference="a", threshold=1.5), "threshold", r"is 1.5, must be above 0 and at most 1"),
        (Expected(reference="!?"), "reference", "must have words"),
        (Expected(regex="(a"), "regex", "missing \\)"),
        (Expected(regex="(?=a)b"), "regex", "is no pattern that RE2 can read"),
        (Expected(label="a", label_from="xpath:a"), "from", 'must be "json:PATH" or'),
        (Expected(label="a", label_from="regex:a"), "from", "has 0 groups, must have one"),
        (Expected(label="a", label_from="regex:("), "from", "is no pattern"),
        (Expected(json_schema={"type": "strin"}), "json_schema", "is no JSON schema"),
    ],
)
def test_an_expectation_that_is_useless_is_named_with_its_key(expected: Expected, key: str, rule: str) -> None:
    found = flaw(expected)

    assert found is not None
    assert found.key == key
    assert re.search(rule, found.rule)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/schema", "file:///etc/hostname"])
def test_a_schema_that_lies_elsewhere_is_refused_and_not_fetched(place: str) -> None:
    found = flaw(Expected(json_schema={"$ref": place}))

    assert found is not None
    assert "Retrieval is disabled" in found.rule


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "(.*)*x", "^(a|aa)+$"])
def test_no_pattern_is_slow_on_an_answer_made_for_it(pattern: str) -> None:
    answer = "a" * 200_000 + "!"
    started_at = time.monotonic()

    assert check(Expected(regex=pattern), answer) is False
    assert check(Expected(json_schema={"type": "string", "pattern": pattern}), f'"{answer}"') is False
    # Not a measurement: a backtracking engine would need longer than the universe has.
    assert time.monotonic() - started_at < 30


@pytest.mark.parametrize("answer", ["", "\ud800", "\x00", "[" * 50_000, "1" + "0" * 500, "1e999", '{"a": NaN}'])
def test_no_answer_makes_a_rule_raise(answer: str) -> None:
    rules = (
        Expected(exact="x"), Expected(contains=("x",)), Expected(regex="^x$"), Expected(json_schema={"type": "object"}),
        Expected(label="x", label_from="json:a.b"), Expected(label="x", label_from="regex:(x)"),
        Expected(reference="x", threshold=0.5),
    )  # fmt: skip

    assert [check(rule, answer) for rule in rules] == [False] * len(rules)


def test_every_rule_has_its_place_in_this_list() -> None:
    assert set(RULES) | {"label_from", "case_sensitive", "threshold"} == set(Expected.__struct_fields__)


def test_words_of_indian_scripts_are_not_cut_at_their_vowel_signs() -> None:
    assert token_f1("पैसे आएँगे", "पैसे जाएँगे") == 0.5


@given(said=st.text(), wanted=st.text())
def test_the_token_f1_is_a_share_and_does_not_care_which_text_is_which(said: str, wanted: str) -> None:
    found = token_f1(said, wanted)

    assert 0 <= found <= 1
    assert found == token_f1(wanted, said)


@given(text=st.text(), around=st.sampled_from(["", " ", "\n\t"]))
def test_every_text_is_exactly_itself_and_contains_itself(text: str, around: str) -> None:
    assert check(Expected(exact=text), around + text + around) is True
    assert check(Expected(contains=(text,)), f"so: {text} !") in {True, text.strip() == ""}


@given(st.text())
def test_extracting_never_raises(answer: str) -> None:
    assert extract("json:a", answer) is None or answer
    assert extract("regex:^(.)", answer) is None or answer
