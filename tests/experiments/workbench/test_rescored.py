"""Another scorer over stored pairs: the same scorer says the same, whatever fails says so, and nothing is written."""

import pytest
from tests_stores import NAME, copied

from experiments import open_store
from experiments.scorers.base import Answer, PairScore
from experiments.workbench import WorkbenchError, example


class Polite:
    """Somebody's own scorer, which has trouble with one prompt in Hindi."""

    version = "polite/1"

    def score(self, control: Answer, treatment: Answer, _expected: object) -> PairScore | None:
        if control.prompt and control.prompt.startswith("मेरा ऑर्डर 1 "):
            raise LookupError("no such word")
        return PairScore(float("way" in (control.text or "")), float("way" in (treatment.text or "")))


def test_the_scorer_that_scored_says_the_same_again() -> None:
    e = example().experiment(NAME)

    again = list(e.rescore("agreement", "agreement"))

    assert [row["stored_value"] for row in again] == [row["value"] for row in again]
    assert [{**row, "stored_value": row["value"]} for row in e.pairs("agreement")] == again


def test_a_scorer_of_ones_own_is_run_and_its_trouble_is_in_the_row() -> None:
    e = example().experiment(NAME)

    rows = {row["pair"]: row for row in e.rescore(Polite(), slice="language=hi")}

    troubled = [row for row in rows.values() if row["failure"]]
    assert [(row["failure"], row["value"], row["stored_value"]) for row in troubled] == [
        ("LookupError: no such word", None, None)
    ]
    others = {pair: row["value"] for pair, row in rows.items() if not row["failure"]}
    stored = {row["pair"]: row["value"] for row in e.pairs("agreement", slice="language=hi")}
    assert others == {pair: value for pair, value in stored.items() if pair in others}


def test_erased_pairs_are_not_left_out_but_have_no_value(tmp_path) -> None:
    gone = "UPDATE exchange SET prompt = NULL, answer = NULL, erased_at = 1 WHERE pair = 'simulated-000002'"
    with open_store(copied(tmp_path, gone)) as store:
        rows = store.experiment(NAME).rescore("agreement", "agreement")
        assert [(row["pair"], row["failure"]) for row in rows if row["value"] is None] == [
            ("simulated-000002", "erased")
        ]
        assert len(rows) == len(store.experiment(NAME).pairs("agreement"))


@pytest.mark.parametrize(
    ("scorer", "said"),
    [("label", '"label" is missing'), (3, "3: is no scorer: it needs a text `version` and a method `score`")],
)
def test_a_scorer_that_cannot_be_is_refused(scorer, said: str) -> None:
    with pytest.raises(WorkbenchError, match=said):
        example().experiment(NAME).rescore(scorer)
