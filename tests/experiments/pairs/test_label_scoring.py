"""Late labels: the right answer comes after the pair was served, and then the pair is scored, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_builders import make_pair
from tests_history import CONFIG, write_config

from experiments.config import load as load_config
from experiments.config.records import Config
from experiments.pairs import label_scoring
from experiments.pairs.label_scoring import LabelScoring
from experiments.pairs.labels import Label, LabelStore
from experiments.store import Store

Load = Callable[..., None]
REFERRED = CONFIG.replace("mirror_percent = 100", 'mirror_percent = 100\ngolden = "golden.jsonl"').replace(
    "[experiments.support.guardrails]", '[experiments.support.guardrails]\nright = { scorer = "exact", margin = 0.2 }'
)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Config:
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "request": {"prompt": "k"}, "expected": {"exact": "v"}}')
    return load_config(write_config(tmp_path, REFERRED), {})


def say(store: Store, pair: str, value: str, metric: str = "right") -> None:
    LabelStore(store.engine).add([Label(pair=pair, experiment="support", metric=metric, value=value, at=1.0)])


def outcomes(store: Store) -> list[tuple[str, str, float, float]]:
    found = store.outcomes("support", 1, 0, store.watermarks().outcome)
    return [(o.pair, o.scorer, o.control_value, o.treatment_value) for o in found if o.metric == "right"]


def put(load: Load, name: str, *, only: int = 2) -> None:
    load(*make_pair({"id": name, "pair": name, "answer": "yes"}, {"pair": name, "answer": "no"})[:only])


def test_a_right_answer_that_comes_late_makes_its_pair_scorable_once(store: Store, load: Load, config: Config) -> None:
    put(load, "p")
    scoring = LabelScoring(config, store)
    before = scoring.score()
    say(store, "p", "no")

    assert (before, scoring.score(), scoring.score()) == (0, 1, 0)
    say(store, "p", "yes")
    assert (scoring.score(), LabelScoring(config, store).score()) == (0, 0)
    assert outcomes(store) == [("p", "exact/1", 0.0, 1.0)]


def test_a_label_waits_for_the_other_side_of_its_pair(store: Store, load: Load, config: Config) -> None:
    live, shadow = make_pair({"id": "p", "pair": "p", "answer": "yes"}, {"pair": "p", "answer": "no"})
    say(store, "p", "yes")
    scoring = LabelScoring(config, store)

    first = scoring.score()
    load(live)
    second = scoring.score()
    load(shadow)

    assert (first, second, scoring.score()) == (0, 0, 1)
    assert "0 labels waiting" in repr(scoring)


def test_labels_that_make_nothing_scorable_are_passed_over(store: Store, load: Load, config: Config) -> None:
    load(make_pair({"id": "alone", "pair": ""})[0])
    put(load, "erased")
    put(load, "p")
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE exchange SET prompt = NULL, answer = NULL, erased_at = 1 WHERE id = 'erased'"))
    for pair in ("alone", "erased"):
        say(store, pair, "yes")
    say(store, "p", "control", metric="agreement")
    scoring = LabelScoring(config, store)

    assert scoring.score() == 0
    assert "0 labels waiting" in repr(scoring)
    assert outcomes(store) == []


def test_where_no_texts_are_kept_there_is_nothing_to_compare(store: Store, load: Load, config: Config) -> None:
    put(load, "p")
    say(store, "p", "yes")
    silent = config.experiments["support"].model_copy(update={"capture": "none"})

    assert LabelScoring(config.model_copy(update={"experiments": {"support": silent}}), store).score() == 0
    assert outcomes(store) == []


def test_labels_are_read_on_from_where_the_last_ones_were_batch_by_batch(
    store: Store, load: Load, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_scoring, "_BATCH", 2)
    for number in range(5):
        put(load, f"p{number}")
        say(store, f"p{number}", "yes")
    scoring = LabelScoring(config, store)

    assert [scoring.score() for _ in range(4)] == [2, 2, 1, 0]
    put(load, "late")
    say(store, "late", "yes")
    assert scoring.score() == 1


def test_a_label_that_waits_outlives_a_store_that_is_away(
    store: Store, load: Load, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, shadow = make_pair({"id": "p", "pair": "p", "answer": "yes"}, {"pair": "p", "answer": "no"})
    say(store, "p", "yes")
    load(live)
    scoring = LabelScoring(config, store)
    scoring.score()
    load(shadow)

    with monkeypatch.context() as broken:
        broken.setattr(Store, "save_outcomes", _away)
        with pytest.raises(OSError, match="away"):
            scoring.score()

    assert scoring.score() == 1


def _away(*_: object) -> None:
    raise OSError("the store is away")
