"""Replay: the same rows, read up to the same watermarks, give the same evidence; changed rows are found out."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import text
from tests_history import CONFIG, START, Life, bad, good, live_through, living

from experiments.evaluation.evaluator import Evaluator
from experiments.model import Feedback
from experiments.replay import Replayed, refold, replay, rows_between
from experiments.store import Watermarks


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


def replayed(life: Life) -> list[Replayed]:
    return list(replay(life.store, life.config.experiments["support"], 1))


def change(life: Life, statement: str) -> None:
    with life.store.engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("answer", [good, bad])
def test_every_look_of_a_whole_life_is_recomputed_to_the_last_bit(life: Life, answer) -> None:
    live_through(life, answer)

    found = replayed(life)

    assert [r.stored for r in found] == life.store.looks("support", 1)
    assert all(r.same for r in found)
    assert [r.evidence for r in found] == [r.stored.evidence for r in found]
    assert [r.decision for r in found] == [r.stored.decision for r in found]


def test_what_came_after_the_last_look_changes_no_look(life: Life) -> None:
    live_through(life, good, ticks=2)
    life.serve(500, 560, bad)
    life.controller._recorder.record()

    assert [r.same for r in replayed(life)] == [True, True]


def test_an_epoch_without_a_look_has_nothing_to_replay(life: Life) -> None:
    life.start()

    assert replayed(life) == []
    assert list(replay(life.store, life.config.experiments["support"], 9)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outcome SET value = -1 WHERE seq = 1",
        "UPDATE outcome SET slices = '{}' WHERE seq = 1",
        "DELETE FROM outcome WHERE seq = 1",
        "UPDATE exchange SET propensity = 0.2 WHERE seq = 1",
        "UPDATE exchange SET error = 'timeout' WHERE role = 'live' AND seq < 30",
        "UPDATE look SET at = at - 100 WHERE number = 1",
        "UPDATE look SET outcome_seq = outcome_seq - 1 WHERE number = 1",
        "UPDATE look SET stage = 1 WHERE number = 1",
    ],
)
def test_a_row_that_was_changed_afterwards_is_found_out(life: Life, statement: str) -> None:
    live_through(life, good, ticks=3)

    change(life, statement)

    assert not all(r.same for r in replayed(life))


def test_the_time_conditions_of_an_epoch_are_measured_from_its_own_stages(life: Life, tmp_path: Path) -> None:
    live_through(life, good, ticks=2)
    with living(tmp_path, CONFIG.replace("stage_min_minutes = 0", "stage_min_minutes = 1")) as later:
        later.now = life.now + 1_000
        later.start()
        later.serve(200, 240)
        for seconds in (10, 49, 1, 30):
            later.tick(seconds)
        found = list(replay(later.store, later.config.experiments["support"], 2))

    assert [r.decision.action for r in found] == ["hold", "hold", "advance", "hold"]
    assert [r.decision.reasons[0].value for r in found][:2] == [10.0, 59.0]
    assert all(r.same for r in found)


def test_a_decision_that_was_changed_afterwards_is_found_out_though_its_evidence_is_the_same(life: Life) -> None:
    live_through(life, good, ticks=3)

    change(life, "UPDATE look SET decision = json_set(decision, '$.action', 'rollback') WHERE number = 3")

    *before, last = replayed(life)
    assert all(r.same for r in before)
    assert last.evidence == last.stored.evidence
    assert (last.stored.decision.action, last.decision.action, last.same) == ("rollback", "promote", False)


def test_another_policy_gives_other_decisions_on_the_same_evidence(life: Life) -> None:
    """What the decision would have been: the evidence is that of the rows, the decision that of the policy."""
    live_through(life, good, ticks=3)
    experiment = life.config.experiments["support"]
    patient = experiment.model_copy(update={"policy": experiment.policy.model_copy(update={"min_days": 7.0})})

    last = list(replay(life.store, patient, 1))[-1]

    assert last.evidence == last.stored.evidence
    assert (last.stored.decision.action, last.decision.action) == ("promote", "hold")


def test_the_rows_between_two_watermarks_are_read_once_and_none_is_left_out(life: Life) -> None:
    live_through(life, good, ticks=2)
    evaluator = Evaluator(life.config.experiments["support"], 1)
    start, end = Watermarks(0, 0, 0), life.store.watermarks()
    whole = rows_between(life.store, evaluator, start, end)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(cut=st.builds(Watermarks, *(st.integers(0, top) for top in end)))
    def check(cut: Watermarks) -> None:
        first = rows_between(life.store, evaluator, start, cut)
        second = rows_between(life.store, evaluator, cut, end)
        assert tuple(a + b for a, b in zip(first, second, strict=True)) == whole

    check()
    assert (len(whole[0]), len({outcome.pair for outcome in whole[1]})) == (160, 80)


def test_refolding_leads_to_the_watermarks_of_the_last_look_and_to_its_state(life: Life) -> None:
    live_through(life, good, ticks=2)
    life.serve(300, 310)
    life.controller._recorder.record()
    evaluator = Evaluator(life.config.experiments["support"], 1)

    seen = refold(life.store, evaluator)

    look = life.store.latest_look("support", 1)
    assert look is not None
    assert seen == (look.exchange_seq, look.outcome_seq, look.feedback_seq)
    assert seen.exchange < life.store.watermarks().exchange
    assert evaluator.looks == look.number
    assert evaluator.ledger.units == look.state["units"]


def test_refolding_an_epoch_without_a_look_begins_at_nothing(life: Life) -> None:
    life.start()

    assert refold(life.store, Evaluator(life.config.experiments["support"], 1)) == (0, 0, 0)


def same(life) -> list[bool]:
    return [found.same for found in replay(life.store, life.config.experiments["support"], 1)]


def thumb(exchange: str, value: bool, at: float = START) -> Feedback:
    return Feedback(exchange=exchange, metric="complaint", value=value, at=at)


def test_a_user_who_changes_a_thumb_changes_no_look_that_was_taken(tmp_path) -> None:
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 40)
        life.write(thumb("live-1", False))
        life.tick()
        life.write(thumb("live-1", True))
        life.tick()
        assert same(life) == [True, True]


def test_feedback_that_is_loaded_before_its_exchange_counts_once_it_is_there_and_looks_replay(tmp_path) -> None:
    """A client has the exchange's id with the headers; another proxy's segment may be read first."""
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 40)
        life.write(thumb("live-41", False))
        life.tick()
        life.serve(40, 80)
        life.tick()
        assert same(life) == [True, True]
        assert (
            life.store.latest_look("support", 1).evidence.of("complaint").losses
            + life.store.latest_look("support", 1).evidence.of("complaint").wins
            == 1
        )


_NEW = ("rules", "responses", "unequal_responses")
_NEW_OF_A_METRIC = ("scorer", "since", "failed")


def _as_the_version_before_wrote(life: Life) -> None:
    """Take out of every stored look what the version before did not know."""
    with life.store.engine.begin() as connection:
        for seq, written in connection.execute(text("SELECT seq, evidence FROM look")).all():
            evidence = json.loads(written)
            for name in _NEW:
                del evidence[name]
            for row in evidence["metrics"]:
                for name in _NEW_OF_A_METRIC:
                    row.pop(name)
            values = {"seq": seq, "evidence": json.dumps(evidence)}
            connection.execute(text("UPDATE look SET evidence = :evidence WHERE seq = :seq"), values)


def test_looks_of_the_version_before_are_replayed_by_the_rules_of_that_version(tmp_path: Path) -> None:
    """Its feedback counted at once; by the present rules, that of this user would still be waiting."""
    with living(tmp_path, CONFIG.replace("settle_seconds = 0", "settle_seconds = 0.5")) as life:
        life.start()
        life.serve(0, 40)
        life.tick()
        life.tick()
        _as_the_version_before_wrote(life)
        assert same(life) == [True, True]
        life.write(thumb("live-1", value=False, at=life.now + 1))
        life.tick()

        *_, present = replayed(life)
        with life.store.engine.begin() as connection:
            connection.execute(text("UPDATE look SET evidence = json_remove(evidence, '$.rules') WHERE number = 3"))
        *_, former = replayed(life)

    assert [found.evidence.of("complaint").units for found in (present, former)] == [40, 40]
    events = [found.evidence.of("complaint") for found in (present, former)]
    assert [event.losses + event.wins for event in events] == [0, 1]


def test_scores_that_came_late_failed_or_were_made_anew_replay_to_the_last_bit(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 30)
        life.tick()
        [*agreed] = [o for o in life.store.outcomes("support", 1, 0, 10_000) if o.metric == "agreement"]
        asked = [replace(o, metric="judge", scorer="judge/1", scored_at=life.now) for o in agreed]
        life.store.save_outcomes([*asked[:20], *(replace(o, failure="judge_failed: timeout") for o in asked[20:])], [])
        life.tick()
        newest = life.store.latest_look("support", 1)
        assert newest is not None
        assert newest.state["lanes"] == {"judge": [0, 30]}
        life.store.save_outcomes([replace(o, scorer="agreement/9", value=-1.0) for o in agreed], [])
        life.tick()

        looks = life.store.looks("support", 1)
        assert same(life) == [True] * 3

    assert looks[2].decision.action == "rollback"
    anew = [look.evidence.of("agreement") for look in looks]
    assert (anew[2].scorer, anew[2].units, anew[2].losses) == ("agreement/9", 30, 30)
    assert (anew[1].losses, anew[1].since, anew[2].since) == (0, None, looks[2].at)


def test_a_look_that_could_not_be_saved_leaves_no_trace_in_the_next_ones(tmp_path) -> None:
    with living(tmp_path) as life:
        life.start()
        life.serve(0, 20)
        life.tick()
        life.serve(20, 30)
        with sqlite3.connect(tmp_path / "touchstone.db") as raw:
            raw.execute("CREATE TRIGGER full BEFORE INSERT ON look BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        with pytest.raises(Exception, match="disk full"):
            life.tick()
        with sqlite3.connect(tmp_path / "touchstone.db") as raw:
            raw.execute("DROP TRIGGER full")
        life.tick()
        assert [look.number for look in life.store.looks("support", 1)] == [1, 2]
        assert same(life) == [True, True]
