"""The keeper makes the partitions of the days to come and drops what is old; a replay says what is gone."""

from pathlib import Path

import pytest
from sqlalchemy import text
from tests_days import DAY, NOW, on_postgres
from tests_history import CONFIG, START, live_through, living

from experiments.retention.days import day_of
from experiments.retention.dropped import DroppedError, check_whole
from experiments.retention.keeper import AHEAD_DAYS, Keeper
from experiments.retention.partitions import partitions
from experiments.store import Store

KEEPING = CONFIG.replace("[router]", "[router]\nkeep_exchanges_days = 2")


def test_an_ended_epoch_is_dropped_when_its_time_is_up_and_its_looks_stay(tmp_path: Path) -> None:
    with living(tmp_path, KEEPING) as life:
        live_through(life, ticks=2)
        before = life.store.looks("support", 1)
        life.tick(3 * DAY)
        assert life.store.count_exchanges() == {"live": 80, "shadow": 80}, "it runs: it must stay replayable"

    with living(tmp_path, KEEPING.replace("margin = 0.2", "margin = 0.3", 1)) as life:
        life.now = START + 3 * DAY + 60
        life.start()
        life.serve(100, 110)
        life.tick()

        assert life.store.count_exchanges() == {"live": 10, "shadow": 10}
        assert life.store.outcomes("support", 1, 0, 10**9) == []
        assert [look.evidence for look in life.store.looks("support", 1)][: len(before)] == [
            look.evidence for look in before
        ]
        with pytest.raises(DroppedError, match=r"160 of its exchanges were dropped on 2023-11-17"):
            check_whole(life.store.engine, "support", 1)
        check_whole(life.store.engine, "support", 2)


def test_a_controller_starts_over_an_epoch_that_was_stopped_and_of_which_some_is_gone(tmp_path: Path) -> None:
    with living(tmp_path, KEEPING) as life:
        live_through(life, ticks=2)
        life.tick(1.5 * DAY)
        life.serve(80, 90)
        life.tick()
        with life.store.engine.begin() as connection:
            connection.execute(text("UPDATE route SET phase = 'stopped', mirror_basis_points = 0"))
        life.tick(DAY)
        assert life.store.count_exchanges() == {"live": 10, "shadow": 10}

        life.restart()
        life.start()
        assert life.tick(DAY) == []


@on_postgres
def test_partitions_are_made_a_week_ahead_and_old_ones_go(postgres_days: Store, begin, serve) -> None:
    store = postgres_days
    begin(1)
    for days_ago in (9, 8, 7, 1):
        serve(days_ago, epoch=1)
    begin(2)
    serve(8.01, epoch=2)
    keeper = Keeper(store.engine, keep_days=5)

    keeper.keep(NOW)

    with store.engine.connect() as connection:
        known = partitions(connection)
    assert known[-1].ends_at > NOW + AHEAD_DAYS * DAY
    assert {row.exchange.at for row in store.exchanges("support", 1, 0, 99)} == {NOW - DAY}
    assert {row.exchange.at for row in store.exchanges("support", 2, 0, 99)} == {NOW - 8.01 * DAY}
    assert [partition.starts_at for partition in known[:2]] == [day_of(NOW - 8 * DAY), day_of(NOW - 5 * DAY)]


@on_postgres
def test_whoever_reads_is_waited_for_briefly_and_asked_again(postgres_days: Store, begin, serve) -> None:
    store = postgres_days
    begin(1)
    serve(9, epoch=1)
    begin(2)
    keeper = Keeper(store.engine, keep_days=5)
    with store.engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM exchange"))
        keeper.keep(NOW)
        assert len(store.exchanges("support", 1, 0, 99)) == 2

    keeper.keep(NOW + 60)

    assert store.exchanges("support", 1, 0, 99) == []
