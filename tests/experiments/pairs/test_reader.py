"""Reading pairs: what a page has, in which order, and that it is found through an index."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests_builders import make_pair

from experiments.model import CONTROL, TREATMENT
from experiments.pairs.reader import PairQuery, PairReader
from experiments.store import Outcome, Store

Load = Callable[..., None]


def outcome(pair: str, value: float, metric: str = "quality", **changes) -> Outcome:
    values = {
        "pair": pair,
        "metric": metric,
        "scorer": "exact/1",
        "experiment": "support",
        "epoch": 1,
        "stage": 0,
        "unit": "u",
        "at": 1000.0,
        "slices": {},
        "control_value": 1.0,
        "treatment_value": 1.0 + value,
        "value": value,
    }
    return Outcome(**(values | changes))


def put(store: Store, load: Load, values: list[float], **changes) -> list[str]:
    """Store a pair for each value, `p00`, `p01`, ...; every second one is Hindi."""
    names = [f"p{number:02}" for number in range(len(values))]
    for number, name in enumerate(names):
        slices = {"language": ("en", "hi")[number % 2]}
        live, shadow = make_pair(
            {"id": name, "pair": name, "slices": slices, "prompt": f"question {name}", "answer": "left"},
            {"pair": name, "answer": "right"},
        )
        load(live, shadow)
        store.save_outcomes([outcome(name, values[number], slices=slices, **changes)], [])
    return names


def found(store: Store, **asked) -> list[str]:
    return [pair.pair for pair in PairReader(store.engine).page(PairQuery("support", 1, **asked)).pairs]


def test_a_pair_has_both_answers_by_variant_whoever_the_user_got(store: Store, load: Load) -> None:
    load(*make_pair({"id": "x", "pair": "x", "assigned": TREATMENT, "answer": "new"}, {"pair": "x", "answer": "old"}))
    store.save_outcomes([outcome("x", -1.0), outcome("x", 0.0, "errors")], [])

    [pair] = PairReader(store.engine).page(PairQuery("support", 1, "quality")).pairs

    assert (pair.control.answer, pair.treatment.answer) == ("old", "new")
    assert {score.metric: score.value for score in pair.scores} == {"quality": -1.0, "errors": 0.0}


def test_the_worst_come_first_and_the_best_on_demand(store: Store, load: Load) -> None:
    put(store, load, [0.5, -1.0, 0.0, -0.25])

    assert found(store, metric="quality") == ["p01", "p03", "p02", "p00"]
    assert found(store, metric="quality", order="best", limit=2) == ["p00", "p02"]
    assert found(store, metric="quality", slice="language=hi") == ["p01", "p03"]
    assert found(store, metric="quality", slice="language=ta") == found(store, metric="other") == []


@pytest.mark.parametrize("order", ["worst", "best"])
@pytest.mark.parametrize("disagreeing", [False, True])
def test_pages_of_any_size_are_the_whole_in_order(store: Store, load: Load, order: str, disagreeing: bool) -> None:
    put(store, load, [0.0, -1.0, 1.0, 0.0, -1.0, 0.5, 0.0, -0.5, 1.0])
    query = PairQuery("support", 1, "quality", order=order, disagreeing=disagreeing)
    reader = PairReader(store.engine)
    whole = [pair.pair for pair in reader.page(query).pairs]

    for limit in (1, 2, 4):
        pages, cursor = [], None
        while True:
            page = reader.page(query._replace(limit=limit, cursor=cursor))
            assert len(page.pairs) <= limit
            pages += [pair.pair for pair in page.pairs]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert pages == whole

    assert len(whole) == (6 if disagreeing else 9)
    assert [pair.pair for pair in reader.each(query, 5)] == whole[:5]


def test_of_a_pair_that_was_rescored_the_newest_score_counts(store: Store, load: Load) -> None:
    put(store, load, [-1.0, -0.5])
    store.save_outcomes([outcome("p00", 0.25, scorer="exact/2")], [])

    pairs = PairReader(store.engine).page(PairQuery("support", 1, "quality")).pairs

    assert [(p.pair, [(s.scorer, s.value) for s in p.scores]) for p in pairs] == [
        ("p01", [("exact/1", -0.5)]),
        ("p00", [("exact/2", 0.25)]),
    ]


def test_what_a_scorer_failed_on_stands_apart(store: Store, load: Load) -> None:
    put(store, load, [-1.0, 0.0])
    store.save_outcomes([outcome("p01", 0.0, scorer="exact/2", failure="timeout")], [])

    assert found(store, metric="quality") == ["p00"]
    assert found(store, metric="quality", failed=True) == ["p01"]


def test_without_a_metric_the_newest_come_first_scored_or_not(store: Store, load: Load) -> None:
    put(store, load, [0.0, 0.0])
    load(*make_pair({"id": "broken", "pair": "broken"}, {"pair": "broken", "status": 500, "error": "status"}))

    assert found(store) == ["broken", "p01", "p00"]
    assert found(store, failed=True) == ["broken"]
    assert found(store, slice="language=en") == ["p00"]
    reader = PairReader(store.engine)
    first = reader.page(PairQuery("support", None, limit=1))
    assert first.epoch == 0  # nobody has begun one: then there is nothing of the newest
    first = reader.page(PairQuery("support", 1, limit=1))
    assert [p.pair for p in reader.page(PairQuery("support", 1, cursor=first.next_cursor)).pairs] == ["p01", "p00"]


def test_the_answer_of_a_fallback_is_not_the_treatments(store: Store, load: Load) -> None:
    load(
        *make_pair(
            {"id": "f", "pair": "f", "assigned": TREATMENT, "served": CONTROL, "fallback": "timeout", "answer": "old"},
            {"pair": "f", "assigned": CONTROL, "served": CONTROL, "answer": "old"},
        )
    )

    [pair] = PairReader(store.engine).page(PairQuery("support", 1)).pairs

    assert (pair.treatment.answer, pair.treatment.error, pair.treatment.failed) == (None, "timeout", True)
    assert pair.control.answer == "old"
