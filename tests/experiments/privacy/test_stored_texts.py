"""Which texts nothing needs any more, and what takes their place."""

from tests_builders import make_pair

from experiments.privacy.stored_texts import ErasedTexts, StoredTexts, empty_wal
from experiments.scoring.score_tasks import Spend, TaskStore, task_values
from experiments.store import Store

LATE = float("-inf")
"""Nothing is old."""


def test_only_what_no_scorer_waits_for_is_of_no_use(store: Store, load, exchange) -> None:
    live, shadow = make_pair()
    load(live, shadow, exchange(id="alone"))
    texts = StoredTexts(store.engine)

    before = {found.seq for found in texts.of_no_use("support", LATE, 10)}
    pairs = store.unscored_pairs(10)
    store.save_outcomes([], [side.seq for _, side in pairs])
    after = {found.seq for found in texts.of_no_use("support", LATE, 10)}

    alone = {side.seq for pair in pairs for side in pair} ^ after
    assert before == alone
    assert after == before | {side.seq for pair in pairs for side in pair}
    assert texts.of_no_use("another", LATE, 10) == []


def test_texts_of_a_pair_that_waits_for_another_server_are_kept_until_it_is_done(store: Store, load) -> None:
    live, shadow = make_pair({"at": 1.0}, {"at": 1.0})
    load(live, shadow)
    pairs, texts, line = store.unscored_pairs(10), StoredTexts(store.engine), TaskStore(store.engine)

    task = task_values(live.exchange.id, "support", 1, "better", 1.0)
    store.save_outcomes([], [side.seq for _, side in pairs], [task])
    assert texts.of_no_use("support", 100.0, 10) == []  # old as they are

    line.finish(line.due(2.0, 1)[0], None, Spend(), 2.0)
    assert len(texts.of_no_use("support", LATE, 10)) == 2


def test_what_is_old_waits_for_nothing(store: Store, load) -> None:
    live, shadow = make_pair({"at": 100.0}, {"at": 100.0})
    load(live, shadow)
    texts = StoredTexts(store.engine)

    assert len(texts.of_no_use("support", 100.0, 10)) == 0
    assert len(texts.of_no_use("support", 100.1, 10)) == 2


def test_what_is_before_a_time_comes_the_oldest_first_and_no_more_than_asked(store: Store, load, exchange) -> None:
    load(*(exchange(id=str(at), at=float(at)) for at in (30, 10, 20)))
    texts = StoredTexts(store.engine)

    two = texts.before(["support"], 100.0, 2)
    none = texts.before(["support"], 10.0, 9)
    others = texts.before(["support"], 100.0, 9, others=True)

    texts.erase([ErasedTexts(seq, None, None) for seq in two], at=200.0)
    assert (len(two), none, others) == (2, [], [])
    [left] = texts.before(["support"], 100.0, 9)
    assert left not in two


def test_nothing_to_erase_is_no_statement(store: Store) -> None:
    StoredTexts(store.engine).erase([], at=1.0)


def test_a_log_that_a_reader_holds_is_not_emptied_and_is_once_it_is_gone(sqlite, load, exchange) -> None:
    load(exchange(prompt="why?"))
    with sqlite.engine.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT count(*) FROM exchange")
        load(exchange(prompt="when?"))
        assert empty_wal(sqlite.engine, patience_s=0.1) is False
    assert empty_wal(sqlite.engine) is True
    with sqlite.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5_000
