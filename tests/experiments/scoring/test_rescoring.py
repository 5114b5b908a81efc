"""Rescoring: rows of the present version are added, nothing is changed, and what was stopped goes on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests_history import CONFIG, Life, bad, living

from experiments.pairs.label_scoring import LabelScoring
from experiments.pairs.labels import Label, LabelStore
from experiments.scoring import rescoring
from experiments.scoring.rescoring import Rescored, Rescoring, RescoringError
from experiments.tables import SCORE_TASK

REFERRED = CONFIG.replace("mirror_percent = 100", 'mirror_percent = 100\ngolden = "golden.jsonl"').replace(
    "[experiments.support.guardrails]", '[experiments.support.guardrails]\nright = { scorer = "exact", margin = 0.2 }'
)


@pytest.fixture(name="life")
def _life(tmp_path: Path):
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 30, bad)
        life.tick()
        yield life


def age(life: Life, pairs: int = 30) -> None:
    """Make the outcomes of the first pairs those of an older version."""
    with life.store.engine.begin() as connection:
        chosen = "SELECT seq FROM outcome WHERE metric = 'agreement' ORDER BY seq LIMIT :n"
        connection.execute(text(f"UPDATE outcome SET scorer = 'agreement/0' WHERE seq IN ({chosen})"), {"n": pairs})


def outcomes(life: Life, metric: str = "agreement") -> list[tuple[str, str, float]]:
    found = life.store.outcomes("support", 1, 0, life.store.watermarks().outcome)
    return [(o.pair, o.scorer, o.value) for o in found if o.metric == metric]


def last(work: Rescoring) -> Rescored:
    return [*work.run()][-1]


def test_pairs_of_an_older_version_get_a_row_of_the_present_one_and_keep_theirs(life: Life) -> None:
    before = outcomes(life)
    age(life, 10)

    done = last(Rescoring(life.config, life.store, "support"))

    assert (done.rescored, done.erased, done.read) == (10, 0, done.total)
    assert sorted(row for row in outcomes(life) if row[1] == "agreement/1") == sorted(before)
    assert sum(row[1] == "agreement/0" for row in outcomes(life)) == 10
    assert last(Rescoring(life.config, life.store, "support")).rescored == 0


def test_what_was_stopped_goes_on_with_what_is_left(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    age(life)
    monkeypatch.setattr(rescoring, "_WINDOW", 20)

    [begun] = islice(Rescoring(life.config, life.store, "support", "agreement").run(), 1)
    rest = last(Rescoring(life.config, life.store, "support", "agreement"))

    assert 0 < begun.rescored < 30
    assert begun.rescored + rest.rescored == 30


def test_a_pair_whose_text_is_erased_keeps_its_outcome_and_is_counted(life: Life) -> None:
    age(life)
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE exchange SET answer = NULL, erased_at = 1 WHERE id IN ('live-3', 'shadow-4')"))

    done = last(Rescoring(life.config, life.store, "support"))

    assert (done.rescored, done.erased) == (28, 2)


def test_a_changed_label_counts_for_all_pairs_under_a_version_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "request": {"prompt": "k"}, "expected": {"exact": "v"}}')
    with living(tmp_path, REFERRED) as life:
        life.start()
        life.serve(0, 10, bad)
        life.tick()
        labels, scoring = LabelStore(life.store.engine), LabelScoring(life.config, life.store)
        labels.add([_label(f"live-{n}", "yes") for n in range(5)])
        scoring.score()
        labels.add([_label("live-0", "no")])

        done = last(Rescoring(life.config, life.store, "support", labels=True))
        labels.add([_label("live-9", "yes")])
        scoring.score()

        new = {pair: value for pair, scorer, value in outcomes(life, "right") if scorer == "exact/1 labels/6"}
        assert done.rescored == 5
        assert new == {"live-0": 1.0, "live-1": 0.0, "live-2": 0.0, "live-3": -1.0, "live-4": 0.0, "live-9": 0.0}
        assert last(Rescoring(life.config, life.store, "support")).rescored == 0


def test_scorers_that_ask_another_server_get_their_pairs_in_line(life: Life) -> None:
    age(life, 7)
    work = Rescoring(life.config, life.store, "support")
    work.targets["agreement"].scorer.asks = True

    done, again = last(work), last(work)

    with life.store.engine.connect() as connection:
        rows = connection.execute(select(SCORE_TASK.c.pair, SCORE_TASK.c.metric, SCORE_TASK.c.epoch)).all()
    assert (done.asked, done.rescored, again.asked) == (7, 0, 7)
    assert len(rows) == 7
    assert {(row.metric, row.epoch) for row in rows} == {("agreement", 1)}


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, {"metric": "errors"}, "there are: agreement"),
        ({}, {"labels": True}, "no labels"),
        ({}, {"epoch": 2}, "has no epoch 2; there are 1 to 1"),
        ({"capture": "none"}, {}, "keeps no texts"),
    ],
)
def test_what_cannot_be_rescored_is_refused_in_words(life: Life, changes: dict, options: dict, said: str) -> None:
    experiment = life.config.experiments["support"].model_copy(update=changes)
    config = life.config.model_copy(update={"experiments": {"support": experiment}})

    with pytest.raises(RescoringError, match=said):
        Rescoring(config, life.store, "support", **options)


def _label(pair: str, value: str) -> Label:
    return Label(pair=pair, experiment="support", metric="right", value=value, at=1.0)
