"""Labels in the store: the newest counts, none is changed, the same one twice is one."""

from __future__ import annotations

from tests_builders import make_pair

from experiments.pairs.labels import Label, LabelStore
from experiments.store import Outcome, Store


def label(pair: str, value: str, **changes) -> Label:
    values = {"pair": pair, "experiment": "support", "metric": "right", "value": value, "at": 1.0}
    return Label(**(values | changes))


def test_the_newest_label_counts_whoever_gave_it(store: Store) -> None:
    labels = LabelStore(store.engine)

    added = labels.add([label("p", "yes"), label("p", "no", source="auditor"), label("q", "yes", metric="other")])

    assert added == 3
    assert {pair: found.value for pair, found in labels.latest(["p", "q", "r"], "right").items()} == {"p": "no"}


def test_what_a_source_has_said_already_is_not_new_and_a_changed_mind_is(store: Store) -> None:
    labels = LabelStore(store.engine)
    labels.add([label("p", "yes"), label("p", "yes")])
    first = labels.newest("support", "right")

    again = labels.add([label("p", "yes")])
    changed = labels.add([label("p", "no")])
    back = labels.add([label("p", "yes", at=3.0)])

    assert (again, changed, back) == (0, 1, 1)
    assert labels.latest(["p"], "right")["p"].at == 3.0
    assert labels.newest("support", "right") > first > labels.newest("support", "other") == 0


def test_a_label_with_a_zero_byte_is_stored_all_the_same(store: Store) -> None:
    labels = LabelStore(store.engine)

    assert (labels.add([label("p", "a\0b")]), labels.add([label("p", "a\0b")])) == (1, 0)


def test_labels_whose_pair_has_no_outcome_are_found_in_order(store: Store) -> None:
    labels = LabelStore(store.engine)
    labels.add([label("p", "yes"), label("q", "yes"), label("r", "yes")])
    store.save_outcomes(
        [
            Outcome(
                pair="q", metric="right", scorer="exact/1", experiment="support", epoch=1, stage=0, unit="u", at=1.0,
                slices={}, control_value=1, treatment_value=1, value=0,
            )
        ],
        [],
    )  # fmt: skip

    found = labels.without_outcome(0, 10)

    assert [new.pair for new in found] == ["p", "r"]
    assert [new.pair for new in labels.without_outcome(found[0].seq, 10)] == ["r"]
    assert [new.pair for new in labels.without_outcome(0, 1)] == ["p"]


def test_a_pair_is_known_by_its_live_exchange(store: Store, load) -> None:
    live, shadow = make_pair({"id": "p", "pair": "p"}, {"pair": "p"})
    load(live, shadow)

    assert LabelStore(store.engine).experiments_of(["p", shadow.exchange.id, "x"]) == {"p": "support"}
