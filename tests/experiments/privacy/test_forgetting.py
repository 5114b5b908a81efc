"""A forgotten user's texts are in no file any more and no id leads to a row, while every figure stays as it was."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, update
from tests_builders import make_experiment
from tests_history import START, Life, bad, live_through, living

from experiments.assignment import unit_of
from experiments.journal.format import encode, end_mark, segment_name
from experiments.journal.post import RecordingPost
from experiments.journal.recorder import Recorder
from experiments.journal.recorders import Recorders, Report
from experiments.leadership import Leadership
from experiments.model import Exchange
from experiments.privacy.erasure import Eraser
from experiments.privacy.forgetting import Forgetting, mend_outcomes, newest_forgetting, settle_journal
from experiments.replay import replay
from experiments.store import LoadedExchange, Outcome, Store, open_store
from experiments.tables import CHECKPOINT, EXCHANGE, FEEDBACK, FORGOTTEN, LABEL, OUTCOME, SCORE_TASK
from experiments.telling.audit_trail import audit_of

KEY = unit_of("support", b"user-3").key
SAID = {"actor": "cli:me", "reason": "she asked for it", "now": START + 99}
SECRET = "Müller-Lüdenscheidt"


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path) as life:
        yield life


def forgetting(life: Life) -> Forgetting:
    return Forgetting(life.store, life.config.experiments.values())


def rows(store: Store, statement) -> list:
    with store.engine.connect() as connection:
        return list(connection.execute(statement).all())


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_every_look_is_recomputed_to_the_last_bit_when_users_were_forgotten(life: Life) -> None:
    live_through(life, bad, ticks=2)

    for number in (3, 13, 77):
        assert forgetting(life).forget(f"user-{number}", **SAID).exchanges == {"support": 2}

    found = list(replay(life.store, life.config.experiments["support"], 1))
    assert [look.same for look in found] == [True, True]
    assert [look.stored.decision.action for look in found] == ["hold", "rollback"]


def test_a_restarted_controller_goes_on_after_a_forgetting_and_replays(life: Life) -> None:
    live_through(life, ticks=1)
    forgetting(life).forget("user-3", **SAID)
    life.restart()
    life.start()
    life.serve(300, 340)
    life.tick()

    assert [look.same for look in replay(life.store, life.config.experiments["support"], 1)] == [True, True]


def test_texts_are_gone_the_key_is_another_one_and_nobody_else_is_touched(life: Life) -> None:
    life.start()
    life.serve(0, 6)
    life.tick()
    others = select(EXCHANGE).where(EXCHANGE.c.unit != KEY).order_by(EXCHANGE.c.seq)
    before = rows(life.store, others)
    assert len(before) == 10

    forgetting(life).forget("user-3", **SAID)

    columns = EXCHANGE.c
    texts = select(columns.unit, columns.prompt, columns.answer, columns.erased_at).where(columns.id.like("%-3"))
    [live, shadow] = rows(life.store, texts)
    assert live == shadow == (live.unit, None, None, START + 99)
    assert (live.unit != KEY, len(live.unit)) == (True, len(KEY))
    assert [row for row in rows(life.store, others) if row.unit != live.unit] == before
    outcomes = rows(life.store, select(OUTCOME.c.unit, OUTCOME.c.detail).where(OUTCOME.c.pair == "live-3"))
    assert set(outcomes) == {(live.unit, None)}
    assert forgetting(life).forget("user-3", **SAID).exchanges == {}, "nothing leads there any more"


def test_a_user_is_forgotten_on_either_database(store: Store, load, pair) -> None:
    live, shadow = pair({"unit": KEY, "prompt": "why?"})
    load(live, shadow)

    done = Forgetting(store, [make_experiment()]).forget("user-3", **SAID)

    assert done == ({"support": 2}, True)
    found = rows(store, select(EXCHANGE.c.unit, EXCHANGE.c.prompt, EXCHANGE.c.answer))
    assert set(found) == {(found[0].unit, None, None)}
    assert found[0].unit != KEY


def test_what_others_said_of_a_pair_goes_and_feedback_stays(life: Life) -> None:
    life.start()
    life.serve(0, 6)
    life.tick()
    common = {"experiment": "support", "metric": "m", "at": 1.0}
    task = {"experiment": "support", "epoch": 1, "metric": "m", "due_at": 1.0, "attempts": 0, "trouble": ""}
    with life.store.engine.begin() as connection:
        for pair in ("live-2", "live-3"):
            connection.execute(insert(LABEL), [common | {"pair": pair, "value": "refund", "source": "me"}])
            connection.execute(insert(SCORE_TASK), [task | {"pair": pair}])
            connection.execute(insert(FEEDBACK), [{"exchange": pair, "metric": "m", "source": "", "value": 1, "at": 1}])
        state = {"experiment": "support", "epoch": 1, "look": 1, "version": "1", "state": KEY.encode()}
        connection.execute(insert(CHECKPOINT), [state])

    forgetting(life).forget("user-3", **SAID)

    assert rows(life.store, select(LABEL.c.pair)) == rows(life.store, select(SCORE_TASK.c.pair)) == [("live-2",)]
    assert len(rows(life.store, select(FEEDBACK))) == 2
    assert rows(life.store, select(CHECKPOINT)) == []


def test_that_somebody_was_forgotten_is_known_and_never_who(life: Life) -> None:
    live_through(life, ticks=1)
    assert newest_forgetting(life.store.engine) == 0

    forgetting(life).forget("user-3", **SAID)
    forgetting(life).forget("user-that-never-came", **SAID)

    said = ("cli:me", "she asked for it")
    columns = FORGOTTEN.c
    found = rows(life.store, select(columns.at, columns.actor, columns.reason, columns.exchanges))
    assert found == [(START + 99, *said, 2), (START + 99, *said, 0)]
    assert newest_forgetting(life.store.engine) == 2
    with pytest.raises(ValueError, match="must not contain the id"):
        forgetting(life).forget("user-3", actor="me", reason="user-3 asked", now=1.0)


def test_every_salt_under_which_a_user_was_ever_seen_counts(life: Life) -> None:
    life.start()
    life.serve(0, 4)
    life.tick()
    # A retry draws its users anew, and the configuration may have had another salt.
    retried = unit_of("support/2", b"user-3").key
    with life.store.engine.begin() as connection:
        connection.execute(update(EXCHANGE).where(EXCHANGE.c.id == "shadow-3").values(unit=retried))
    assert forgetting(life).forget("user-3", **SAID, experiments=["another"]).exchanges == {}
    route = life.store.route_states()["support"].route

    with life.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE route SET salt = 'support/2'")

    assert route.salt == "support"
    assert forgetting(life).forget("user-3", **SAID, experiments=["support"]).exchanges == {"support": 2}


def test_an_outcome_that_was_scored_meanwhile_gets_the_key_of_its_exchange(life: Life) -> None:
    live_through(life, ticks=1)
    forgetting(life).forget("user-3", **SAID)
    late = Outcome(
        pair="live-3", metric="judge", scorer="judge/1", experiment="support", epoch=1, stage=0, unit=KEY, at=START,
        slices={}, control_value=1.0, treatment_value=1.0, value=0.0,
    )  # fmt: skip
    before = life.store.watermarks().outcome
    life.store.save_outcomes([late], [])

    assert mend_outcomes(life.store.engine, before) == 1
    assert mend_outcomes(life.store.engine, 0) == 0

    assert rows(life.store, select(OUTCOME.c.pair).where(OUTCOME.c.unit == KEY)) == []


def filled(folder: Path, unit: Callable[[int], str]) -> Store:
    """A database of many texts of all lengths, each with the secret."""
    store = open_store(f"sqlite:///{folder / 'touchstone.db'}")
    store.migrate()
    for start in range(0, 400, 50):
        batch = [
            LoadedExchange(
                exchange=Exchange(id=f"x{n}", at=START + n, experiment="support", epoch=1, unit=unit(n)),
                prompt=f"I am {SECRET} {n} " * (1 + n * n % 700),
                answer=f"Good day, {SECRET}! {n} " * (n % 7),
            )
            for n in range(start, start + 50)
        ]
        store.load("segment", start, batch)
    return store


def test_no_byte_of_a_forgotten_users_texts_and_key_is_left_in_the_database(tmp_path: Path) -> None:
    store = filled(tmp_path, lambda n: KEY if n % 3 else "another")
    with store.engine.begin() as connection:
        connection.execute(update(EXCHANGE).where(EXCHANGE.c.unit == "another").values(prompt="", answer=""))
    assert SECRET.encode() in bytes_of(tmp_path)
    assert KEY.encode() in bytes_of(tmp_path)
    with store.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO epoch (experiment, number, config_hash, config, started_at, candidate, attempt) "
            """VALUES ('support', 1, '', '{"salt": "support"}', 0, '', 1)"""
        )

    done = Forgetting(store).forget("user-3", **SAID)

    assert done.overwritten
    left = bytes_of(tmp_path)
    assert SECRET.encode() not in left
    assert KEY.encode() not in left
    store.close()


def test_no_byte_of_a_text_is_left_in_the_database_when_its_time_is_up(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.store.close()
        store = filled(tmp_path, str)
        while Eraser(life.config, store).erase(START + 31 * 86_400):
            pass
        assert SECRET.encode() not in bytes_of(tmp_path)
        store.close()


def test_the_journal_is_loaded_to_its_end_and_deleted_by_whoever_leads(life: Life) -> None:
    life.store.migrate()
    path = life.journal / segment_name(os.getpid(), 1, 1)
    record = Exchange(id="a", at=1.0, experiment="support", unit=KEY, request_text=f'{{"prompt": "{SECRET}"}}')
    path.write_bytes(encode(record))

    def close_it() -> None:
        time.sleep(0.3)
        with path.open("ab") as file:
            file.write(end_mark())

    closing = threading.Thread(target=close_it)
    closing.start()
    leadership = Leadership(life.config.router.database)
    assert settle_journal(life.config, life.store, leadership, 10) == []
    assert leadership.leads, "no controller may start meanwhile"
    leadership.release()
    closing.join()

    assert SECRET.encode() not in bytes_of(life.journal)
    assert [row.prompt for row in rows(life.store, select(EXCHANGE.c.prompt))] == [SECRET]


def test_while_another_process_records_the_journal_is_left_to_it_and_what_stays_is_named(life: Life) -> None:
    life.store.migrate()
    path = life.journal / segment_name(os.getpid(), 1, 1)
    leadership = Leadership(life.config.router.database)
    post = RecordingPost(Recorder(life.config, life.store), life.journal)
    post.record()
    path.write_bytes(encode(Exchange(id="a", at=1.0, experiment="support")) + end_mark())

    assert settle_journal(life.config, life.store, leadership, 0.3) == [path.name]
    post.leave()
    assert settle_journal(life.config, life.store, leadership, 5) == []
    assert [one.report.ended for one in Recorders(life.store.engine).all()] == [True], "it is over, and not missing"
    leadership.release()


def test_the_journals_of_other_hosts_are_waited_for_and_named_where_nobody_loads_them(life: Life) -> None:
    life.store.migrate()
    leadership = Leadership(life.config.router.database)
    recorders, stop = Recorders(life.store.engine), threading.Event()
    report = Report(folder="elsewhere", host="mumbai-2", waiting_bytes=0, writers={})
    recorders.put(report, time.time())

    assert settle_journal(life.config, life.store, leadership, 0.3) == ["the journal of mumbai-2"]

    def record() -> None:
        while not stop.wait(0.05):
            recorders.put(report, time.time())

    recording = threading.Thread(target=record)
    recording.start()
    assert settle_journal(life.config, life.store, leadership, 10) == []
    stop.set()
    recording.join()
    leadership.release()


def test_a_running_controller_takes_its_units_anew_once_one_of_them_was_forgotten(life: Life) -> None:
    live_through(life, ticks=1)
    forgetting(life).forget("user-3", **SAID)
    # She comes again, as a new user: the controller that runs had known her key, and a replay cannot.
    for record in life.serve(3, 4):
        again = {"id": f"{record.id}-again", "pair": "live-3-again"}
        life.write(msgspec.structs.replace(record, **again))
    life.serve(50, 90)
    life.tick()

    assert [look.same for look in replay(life.store, life.config.experiments["support"], 1)] == [True, True]


def test_the_audit_says_that_somebody_was_forgotten_and_never_who(life: Life) -> None:
    live_through(life, ticks=1)
    forgetting(life).forget("user-3", **SAID)

    [row] = [row for row in audit_of(life.store) if row.what == "a unit was forgotten"]
    assert (row.actor, row.why) == (SAID["actor"], SAID["reason"])
    assert "user-3" not in str(row)
