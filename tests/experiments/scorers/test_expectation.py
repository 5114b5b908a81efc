"""The golden set's expectations, one rule or all of them."""

import pytest

from experiments.golden.sets import Expected
from experiments.scorers import Answer, PairScore
from experiments.scorers.expectation import Contains, Golden, JsonSchema, Regex


def ok(text: str | None) -> Answer:
    return Answer(text, ok=True)


ALL = Expected(contains=("42",), regex="^Rs", json_schema=True)


@pytest.mark.parametrize(
    ("scorer", "expected", "right", "wrong"),
    [
        (Contains(), Expected(contains=("7 days", "invoice")), "Within ७  days, with the INVOICE", "within 7 days"),
        (Contains(), Expected(contains=("Rs",), case_sensitive=True), "Rs 5", "rs 5"),
        (Contains(), ALL, "42", "Rs 43"),
        (Regex(), Expected(regex=r"^\d+$"), "४२", "42 rupees"),
        (Regex(), ALL, "Rs 1", "42"),
        (JsonSchema(), Expected(json_schema={"required": ["a"]}), '{"a": 1}', '{"b": 1}'),
        (Golden(), Expected(exact="Paris"), "Paris", "paris"),
        (Golden(), Expected(contains=("42",), regex="^Rs"), "Rs 42", "42"),
        (Golden(), Expected(reference="within seven days", threshold=0.6), "within seven days", "never"),
        (Golden("json:intent"), Expected(label="refund"), '{"intent": "Refund"}', '{"intent": "track"}'),
    ],
)
def test_an_answer_meets_what_its_scorer_looks_at(scorer, expected: Expected, right: str, wrong: str) -> None:
    assert scorer.score(ok(right), ok(wrong), expected) == PairScore(1, 0)
    assert scorer.score(ok(wrong), ok(right), expected) == PairScore(0, 1)
    assert scorer.score(ok(right), Answer(right, ok=False), expected) == PairScore(1, 0)


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (Contains(), None),
        (Contains(), Expected(exact="a")),
        (Regex(), Expected(contains=("a",))),
        (JsonSchema(), Expected(exact="a")),
        (Golden(), None),
        (Golden(), Expected()),
        (Golden(), Expected(label="refund")),  # nobody said where it stands
        (Golden(), Expected(reference="a b")),  # no threshold: it needs another scorer
    ],
)
def test_what_no_rule_can_tell_has_no_score(scorer, expected: Expected | None) -> None:
    assert scorer.score(ok("a"), ok("b"), expected) is None


def test_where_the_label_stands_is_part_of_the_version() -> None:
    assert len({Golden().version, Golden("json:a").version, Golden("json:b").version}) == 3
