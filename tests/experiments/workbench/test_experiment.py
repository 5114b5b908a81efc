"""One experiment says what the store and the other faces say; what it has not is an error that names it."""

import pytest
from sqlalchemy import text
from tests_history import Life, bad, live_through, living
from tests_stores import NAME, copied

from experiments import open_store
from experiments.evidence import Verdict
from experiments.showing.reader import Showing
from experiments.showing.summary import summarise
from experiments.workbench import OpenExperiment, WorkbenchError, example


def of_example() -> OpenExperiment:
    return example().experiment(NAME)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda e: e.pairs("agrement"), "no metric 'agrement' (did you mean 'agreement'?); there are: agreement, cost"),
        (lambda e: e.pairs("complaint"), "complaint is feedback, and no metric of pairs: feedback('complaint') has it"),
        (lambda e: e.units("agrement"), "no metric 'agrement'"),
        (lambda e: e.pairs(slice="language=ta"), "there are: language=en, language=hi"),
        (lambda e: e.pairs(slice="language"), 'slice is "language", must be "attribute=value"'),
        (lambda e: e.units("agreement", slice="langage=hi"), "did you mean 'language=hi'?"),
        (lambda e: e.exchanges("alive"), "no role 'alive' (did you mean 'live'?)"),
        (lambda e: e.feedback("agreement"), "no feedback metric 'agreement'; there are: complaint"),
        (lambda e: e.evidence(99), "support-int4, epoch 1, has no look 99; the newest is 6"),
        (lambda e: e.decision(0), "has no look 0"),
        (lambda e: e.rescore("chrff"), "no scorer 'chrff' (did you mean 'chrf'?)"),
    ],
)
def test_what_is_not_there_is_named_with_what_there_is(call, said: str) -> None:
    with pytest.raises(WorkbenchError) as caught:
        call(of_example())

    assert said in str(caught.value)


def test_a_slice_and_a_metric_are_filtered_and_lose_nothing() -> None:
    e = of_example()

    by_language = [len(e.pairs("agreement", slice=f"language={language}")) for language in ("en", "hi")]

    assert sum(by_language) == len(e.pairs("agreement")) == len(e.exchanges("shadow"))
    assert {row["metric"] for row in e.pairs()} >= {"agreement", "errors", "cost"}
    assert {row["slices"]["language"] for row in e.exchanges(slice="language=hi")} == {"hi"}


def test_texts_are_those_of_the_two_variants_whoever_was_served() -> None:
    rows = list(of_example().pairs("agreement", texts=True))

    assert {row["control_answer"] for row in rows} == {"It is on its way."}
    wrong = [row for row in rows if row["value"] < 0]
    assert {row["treatment_answer"] for row in wrong} == {"I cannot find it."}
    assert all(row["prompt"] for row in rows)


def test_what_was_scored_anew_counts_once_and_what_failed_has_no_value(tmp_path) -> None:
    columns = "pair, metric, experiment, epoch, stage, unit, at, slices, control_value, treatment_value"
    again = f"INSERT INTO outcome ({columns}, scorer, value, failure) SELECT {columns}, 'agreement/2', 0.5, "
    of = " FROM outcome WHERE metric = 'agreement' AND pair = 'simulated-00000{}'"
    path = copied(tmp_path, f"{again}''{of.format(1)}", f"{again}'judge_failed: timeout'{of.format(2)}")

    with open_store(path) as store:
        pairs = store.experiment(NAME).pairs("agreement")
        found = {row["pair"]: row for row in pairs}
        assert len(pairs) == len(found) == len(of_example().pairs("agreement"))
        assert pairs.to_arrow()["value"].null_count == 1

    first, second = found["simulated-000001"], found["simulated-000002"]
    assert (first["scorer"], first["value"]) == ("agreement/2", 0.5)
    assert (second["failure"], second["value"], second["control_value"]) == ("judge_failed: timeout", None, None)


@pytest.fixture(name="life")
def _life(tmp_path):
    with living(tmp_path) as life:
        live_through(life, bad)
        yield life


def test_verdict_and_decision_are_what_the_other_faces_say(life: Life) -> None:
    with open_store(life.config.path) as store:
        e = store.experiment("support")
        verdict, decision, newest = e.verdict(), e.decision(), e.look()
        row = next(row for row in e.evidence() if (row["metric"], row["slice"]) == ("agreement", ""))

    summary = summarise(Showing(life.store, life.config).standing("support"))
    assert (verdict.sentence, verdict.reasons, verdict.summary) == (summary.verdict, summary.reasons, summary)
    assert decision.reasons == summary.reasons
    assert decision.record == newest.decision == life.store.latest_look("support", 1).decision
    assert (verdict.phase, verdict.tone) == ("rolled_back", "bad")
    assert (row["verdict"], row["estimate"]) == (Verdict.HARM, newest.evidence.of("agreement").estimate)
    assert row["e_harm"] > 20


def test_an_earlier_epoch_stands_as_it_ended_while_the_next_one_goes_on(life: Life, tmp_path) -> None:
    text_ = life.config.path.read_text().replace("margin = 0.2 }", "margin = 0.25 }", 1)
    life.config.path.write_text(text_)
    with living(tmp_path, text_) as later:
        later.now = life.now + 10
        later.start()
        with open_store(later.config.path) as store:
            first, second = store.experiment("support", epoch=1), store.experiment("support")
            assert (first.epoch, first.verdict().phase, first.config.guardrails[0].margin) == (1, "rolled_back", 0.2)
            assert (second.epoch, second.verdict().phase, second.config.guardrails[0].margin) == (2, "running", 0.25)
            assert (len(first.looks()), len(second.looks())) == (len(life.store.looks("support", 1)), 0)
            assert [list(second.pairs()), list(second.replay())] == [[], []]
            with pytest.raises(WorkbenchError, match="no look has been taken yet"):
                second.evidence()
            with pytest.raises(WorkbenchError, match="support has no epoch 3; there are: 1, 2"):
                store.experiment("support", epoch=3)


def test_a_row_that_was_changed_is_found_out_by_replay(life: Life) -> None:
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE outcome SET value = 1 WHERE seq = 1 OR seq = 200"))

    with open_store(life.config.path) as store:
        found = [agrees for _, _, agrees in store.experiment("support").replay()]
        upto = [look.number for look, _, _ in store.experiment("support").replay(until=2)]

    assert not all(found)
    assert upto == [1, 2]


def test_dropped_rows_are_told_and_not_recomputed_without(tmp_path) -> None:
    noted = f"INSERT INTO dropped VALUES ('{NAME}', 1, 1700000000, 1700000000, 3, 7)"
    with open_store(copied(tmp_path, noted)) as store:
        e = store.experiment(NAME)
        for call in (lambda: list(e.replay()), lambda: e.units("agreement")):
            with pytest.raises(WorkbenchError, match="epoch 1 of support-int4 cannot be replayed"):
                call()
