"""Golden runs: every item goes out once to both variants, in a fair order, and every answer is judged or has failed."""

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.golden.expectations import Expected
from experiments.golden.items import GoldenItem, asked
from experiments.golden.runs import ItemResult, Outcome, Said, judge, judge_all, plan
from experiments.model import CONTROL, TREATMENT


def item(name: str = "1", **changes) -> GoldenItem:
    return GoldenItem(**{"id": name, "request": asked("capital?"), "expected": Expected(exact="Paris"), **changes})


@given(count=st.integers(0, 40), seed=st.integers())
def test_every_item_goes_out_once_to_both_variants(count: int, seed: int) -> None:
    items = [item(str(number)) for number in range(count)]

    planned = plan(items, random.Random(seed))

    assert sorted(one.item.id for one in planned) == sorted(one.id for one in items)
    assert all(sorted(one.order) == [CONTROL, TREATMENT] for one in planned)


def test_either_variant_goes_first_about_as_often() -> None:
    planned = plan([item(str(number)) for number in range(1000)], random.Random(7))

    first = Counter(one.order[0] for one in planned)

    assert 400 < first[CONTROL] < 600
    assert [one.item.id for one in planned] != [str(number) for number in range(1000)]


def test_the_same_seed_gives_the_same_run() -> None:
    items = [item(str(number)) for number in range(50)]

    assert plan(items, random.Random(3)) == plan(items, random.Random(3))


def test_the_model_goes_into_requests_that_name_none() -> None:
    named = item("2", request={"model": "mine", "prompt": "x"})

    planned = plan([item("1"), named], random.Random(0), model="support")

    models = {one.item.id: msgspec.json.decode(one.body)["model"] for one in planned}
    assert models == {"1": "support", "2": "mine"}


def test_without_a_model_a_request_goes_out_as_it_stands() -> None:
    (one,) = plan([item()], random.Random(0))

    assert msgspec.json.decode(one.body) == asked("capital?")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Said(text=" Paris"), Outcome.OK),
        (Said(text="London"), Outcome.WRONG),
        (Said(text=""), Outcome.WRONG),
        (Said(error="status 503"), Outcome.FAILED),
        (Said(text="Paris", error="stream broken off"), Outcome.FAILED),
        (Said(), Outcome.FAILED),
    ],
)
def test_an_answer_is_right_wrong_or_none(said: Said, outcome: Outcome) -> None:
    assert judge(item(), said) is outcome


def test_what_no_program_can_judge_is_unknown() -> None:
    assert judge(item(expected=Expected(reference="the capital of France")), Said(text="Paris")) is Outcome.UNKNOWN


def test_a_label_is_found_where_the_experiment_says() -> None:
    labelled = item(expected=Expected(label="refund"))

    assert judge(labelled, Said(text='{"intent":"refund"}')) is Outcome.UNKNOWN
    assert judge(labelled, Said(text='{"intent":"refund"}'), "json:intent") is Outcome.OK


def test_results_keep_the_order_of_the_set_and_what_was_not_answered_has_failed() -> None:
    items = [item("b", tags={"language": "hi"}, critical=True), item("a")]
    answers = {"b": {CONTROL: Said(text="Paris"), TREATMENT: Said(text="Rome")}}

    assert judge_all(items, answers) == [
        ItemResult(id="b", tags=("language=hi",), critical=True, control=Outcome.OK, treatment=Outcome.WRONG),
        ItemResult(id="a", control=Outcome.FAILED, treatment=Outcome.FAILED),
    ]
