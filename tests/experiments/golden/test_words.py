"""A verdict on a golden run in plain words: every reason has its sentence, with its figures and its items."""

import pytest

from experiments.golden.runs import ItemResult, Outcome
from experiments.golden.verdict import GateCode, GateReason, verdict
from experiments.golden.words import sentence, summary

OK, WRONG = Outcome.OK, Outcome.WRONG


@pytest.mark.parametrize("code", GateCode)
def test_every_reason_has_a_sentence(code: GateCode) -> None:
    said = sentence(GateReason(code=code, tag="language=hi", items=("a",), value=0.25, threshold=0.125, n=8))

    assert not said[0].isupper()
    assert not said.endswith(".")
    assert "8" in said or "language=hi" in said


def test_long_lists_of_items_are_cut() -> None:
    reason = GateReason(code=GateCode.CRITICAL_LOST, items=tuple("abcdefg"), n=9)

    assert sentence(reason) == (
        "the treatment gets 7 of 9 critical items wrong that control gets right (a, b, c, d, e and 2 more)"
    )


def test_a_summary_says_the_verdict_its_reasons_and_which_tags_stay_open() -> None:
    results = [
        ItemResult(id=str(n), tags=("kind=price",) if n < 4 else (), control=OK, treatment=OK) for n in range(200)
    ]

    assert summary(verdict(results)) == (
        "Passed: on 200 items no loss was shown, and one of 10 % is ruled out (it is 1.33 % at most)."
        " Open by itself: kind=price."
    )


def test_a_failure_says_by_how_much_and_where() -> None:
    results = [ItemResult(id=str(n), tags=("hi",), control=OK, treatment=WRONG if n < 10 else OK) for n in range(100)]

    assert summary(verdict(results)) == (
        "Failed: the treatment is worse: right on 10 fewer of 100 items (10 %), lost are 0, 1, 2, 3, 4 and 5 more; "
        "the treatment is worse in hi: right on 10 fewer of 100 items (10 %), lost are 0, 1, 2, 3, 4 and 5 more."
    )
