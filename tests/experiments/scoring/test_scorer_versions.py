"""Which version a metric's outcomes are counted under: the scorer's own, or that of the newest rescoring by labels."""

from __future__ import annotations

from msgspec.structs import replace

from experiments.scoring.scorer_versions import under_versions_in_use, version_in_use, with_labels
from experiments.store import Outcome, Store


def outcome(pair: str, scorer: str, **changes) -> Outcome:
    values = {
        "pair": pair, "metric": "right", "scorer": scorer, "experiment": "support", "epoch": 1, "stage": 0, "unit": "u",
        "at": 1.0, "slices": {}, "control_value": 1.0, "treatment_value": 1.0, "value": 0.0,
    }  # fmt: skip
    return Outcome(**(values | changes))


def test_what_is_scored_after_a_rescoring_by_labels_goes_on_under_its_version(store: Store) -> None:
    rescored = with_labels("exact/1", 17)
    store.save_outcomes([outcome("a", "exact/1"), outcome("a", rescored)], [])
    new = [outcome("b", "exact/1"), outcome("b", "chrf/1", metric="like"), outcome("b", "exact/1", epoch=2)]

    found = under_versions_in_use(store.engine, new)

    assert [o.scorer for o in found] == ["exact/1 labels/17", "chrf/1", "exact/1"]
    assert [replace(o, scorer="") for o in found] == [replace(o, scorer="") for o in new]


def test_a_new_version_of_the_scorer_itself_ends_that(store: Store) -> None:
    store.save_outcomes([outcome("a", with_labels("exact/1", 17))], [])

    assert version_in_use(store.engine, "support", 1, "right", "exact/2") == "exact/2"
    assert version_in_use(store.engine, "support", 1, "right", "exact/1") == "exact/1 labels/17"
