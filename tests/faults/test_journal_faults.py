"""F11-F14: full disks, a locked or stopped store, torn and damaged segments. Nothing that was acknowledged is lost."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError

from experiments.journal.format import Entry, encode, end_mark, read_segment, segment_name
from experiments.model import Exchange
from experiments.store import Store, open_store
from experiments.tables import EXCHANGE
from router.journal import Journal

GONE = 2**22 + 1
"""No process has this id."""
_numbers = itertools.count()


def exchange(**more) -> Exchange:
    return Exchange(**({"id": f"x{next(_numbers):06d}", "at": 1.0, "experiment": "support"} | more))


def stored_ids(store: Store) -> list[str]:
    with store.engine.connect() as connection:
        return list(connection.execute(select(EXCHANGE.c.id).order_by(EXCHANGE.c.seq)).scalars())


def fill_up(filler: Path) -> None:
    """Write a file until its disk is full."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    assert os.statvfs(filler.parent).f_bavail == 0


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


# --- F12: no room for the journal -------------------------------------------------------------------------------------


def test_on_a_full_disk_recording_is_shed_and_comes_back_by_itself_once_the_recorder_made_room(
    small_disk, open_sqlite, recorder_of
) -> None:
    disk, store = small_disk("256k"), open_sqlite()
    recorder, taken = recorder_of(disk, store), []
    journal = Journal(disk, segment_bytes=2**20)
    journal.start()

    def serve() -> bool:
        record = exchange(request_text="x" * 500)
        if done := journal.append(record):
            taken.append(record.id)
        return done

    while serve():
        pass
    assert "No space left on device" in journal.shedding
    assert not any(serve() for _ in range(3)), "and it raises nothing"
    # Only a closed segment can be deleted; its end mark may not fit on the disk any more.
    wait_for(lambda: (serve(), recorder.record(), journal.shedding == "")[-1])
    assert all(serve() for _ in range(50))
    journal.close()
    recorder.record()

    assert stored_ids(store) == taken, "what was acknowledged, once, in order"
    assert journal.shed >= 4
    assert len(taken) == journal.written


def test_the_status_file_tells_of_a_disk_that_is_full_already(small_disk) -> None:
    disk = small_disk("64k")
    journal = Journal(disk)
    journal.start()
    filler = disk / "filler"
    fill_up(filler)

    assert not journal.append(exchange(request_text="x" * 5000))

    [status] = disk.glob("*.status")
    assert b"No space left on device" in status.read_bytes()
    filler.unlink()
    assert journal.append(exchange())
    journal.close()


# --- F13: no room for the store ---------------------------------------------------------------------------------------


def test_a_store_whose_disk_is_full_is_tried_again_and_nothing_is_lost(
    tmp_path, small_disk, open_sqlite, recorder_of
) -> None:
    disk = small_disk("1m")
    store, filler = open_sqlite(disk), disk / "filler"
    journal = Journal(tmp_path / "journal", segment_bytes=20_000)
    taken = [record.id for _ in range(400) if journal.append(record := exchange(endpoint="e" * 400))]
    fill_up(filler)
    recorder = recorder_of(tmp_path / "journal", store)

    for _ in range(2):
        with pytest.raises(OperationalError, match=r"full|disk I/O error"):
            recorder.record()
    taken += [record.id for _ in range(10) if journal.append(record := exchange())]
    filler.unlink()
    recorder.record()
    journal.close()

    assert len(taken) == 410
    assert stored_ids(store) == taken


# --- F11: the store is locked or stopped ------------------------------------------------------------------------------


def test_a_locked_store_delays_and_loses_nothing(tmp_path: Path, open_sqlite, recorder_of) -> None:
    store = open_sqlite()
    journal = Journal(tmp_path / "journal", segment_bytes=5_000)
    recorder = recorder_of(tmp_path / "journal", store)
    taken = []
    other = sqlite3.connect(tmp_path / "touchstone.db", isolation_level=None)
    for _ in range(3):
        other.execute("BEGIN EXCLUSIVE")
        taken += [record.id for _ in range(30) if journal.append(record := exchange())]
        with pytest.raises(OperationalError, match="locked"):
            recorder.record()
        other.execute("ROLLBACK")
        taken += [record.id for _ in range(30) if journal.append(record := exchange())]
        recorder.record()
    other.close()
    journal.close()
    recorder.record()

    assert len(taken) == 180
    assert stored_ids(store) == taken
    assert list((tmp_path / "journal").glob("*.journal")) == []


@pytest.mark.postgres
def test_a_postgres_whose_server_process_is_stopped_delays_and_loses_nothing(
    tmp_path: Path, postgres_url: str, recorder_of
) -> None:
    """SIGSTOP of the very process that serves the recorder's connection, in the middle of the load; then SIGCONT."""
    store = open_store(postgres_url)
    store.migrate()
    journal = Journal(tmp_path / "journal", segment_bytes=5_000)
    taken = [record.id for _ in range(100) if journal.append(record := exchange())]
    recorder = recorder_of(tmp_path / "journal", store)
    with store.engine.connect() as connection:
        server = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    try:
        os.kill(server, signal.SIGSTOP)
    except (ProcessLookupError, PermissionError):
        store.close()
        pytest.skip("the PostgreSQL server's processes are not ours to stop")
    loading = threading.Thread(target=recorder.record)
    loading.start()
    loading.join(0.5)
    waited = loading.is_alive()
    taken += [record.id for _ in range(100) if journal.append(record := exchange())]
    os.kill(server, signal.SIGCONT)
    loading.join(20)
    journal.close()
    recorder.record()

    assert waited, "the store answered although it was stopped"
    assert not loading.is_alive()
    assert stored_ids(store) == taken
    store.close()


@pytest.mark.postgres
def test_a_postgres_that_cuts_every_connection_delays_and_loses_nothing(
    tmp_path: Path, postgres_url: str, recorder_of
) -> None:
    store, admin = open_store(postgres_url), create_engine(postgres_url)
    store.migrate()
    journal = Journal(tmp_path / "journal", segment_bytes=3_000)
    recorder, taken = recorder_of(tmp_path / "journal", store), []
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"  # not those of other tests
    )
    for _ in range(5):
        taken += [record.id for _ in range(20) if journal.append(record := exchange())]
        with admin.begin() as connection:
            connection.execute(cut)
        try:
            recorder.record()
        except OperationalError:
            recorder.record()
    journal.close()
    recorder.record()

    assert stored_ids(store) == taken
    admin.dispose()
    store.close()


# --- F14: torn, cut and damaged segments ------------------------------------------------------------------------------


@pytest.mark.parametrize("flipped", [0, 9, 30, 60])
def test_a_flipped_bit_costs_its_line_and_is_counted(tmp_path: Path, open_sqlite, recorder_of, flipped: int) -> None:
    store = open_sqlite()
    path = tmp_path / segment_name(GONE, 1, 1)
    lines = [encode(exchange(id=name)) for name in ("a", "b", "c")]
    raw = bytearray(b"".join(lines))
    raw[len(lines[0]) + flipped] ^= 1
    path.write_bytes(raw + end_mark())

    recorder_of(tmp_path, store).record()

    assert stored_ids(store) == ["a", "c"]
    assert store.damaged_records() == 1, "also after the segment is deleted"
    assert not path.exists()


@pytest.mark.parametrize("kept", [1, 20, 50])
def test_a_torn_tail_is_counted_and_the_lines_before_it_are_loaded(
    tmp_path: Path, open_sqlite, recorder_of, kept: int
) -> None:
    store = open_sqlite()
    path = tmp_path / segment_name(GONE, 1, 1)
    path.write_bytes(encode(exchange(id="a")) + encode(exchange(id="b"))[:kept])
    recorder = recorder_of(tmp_path, store)

    recorder.record()
    recorder.record()

    assert (stored_ids(store), store.damaged_records()) == (["a"], 1)
    assert not path.exists()


def test_a_segment_that_shrank_behind_the_offset_stops_nobody(tmp_path: Path, open_sqlite, recorder_of) -> None:
    store = open_sqlite()
    path = tmp_path / segment_name(os.getpid(), 1, 1)
    path.write_bytes(encode(exchange(id="a")) + encode(exchange(id="b")))
    recorder = recorder_of(tmp_path, store)
    recorder.record()

    os.truncate(path, 10)
    (tmp_path / segment_name(os.getpid(), 2, 1)).write_bytes(encode(exchange(id="c")))
    recorder.record()

    assert stored_ids(store) == ["a", "b", "c"]


def test_pure_noise_is_passed_over(tmp_path: Path, open_sqlite, recorder_of) -> None:
    store = open_sqlite()
    noise = os.urandom(5_000).replace(b"\n", b"")
    (tmp_path / segment_name(GONE, 1, 1)).write_bytes(noise + b"\n" + encode(exchange(id="a")) + end_mark())
    (tmp_path / "somebody's.journal").mkdir()

    recorder = recorder_of(tmp_path, store)
    assert [recorder.record(), recorder.record()] == [1, 0]
    assert stored_ids(store) == ["a"]


@pytest.mark.postgres
@pytest.mark.parametrize("poison", [{"status": 2**40}, {"id": "p", "latency_ms": float("inf"), "stage": 2**70}])
def test_a_record_that_the_store_refuses_costs_itself_and_no_other(
    tmp_path: Path, postgres_url: str, recorder_of, poison
) -> None:
    store = open_store(postgres_url)
    store.migrate()
    records = [exchange() for _ in range(20)]
    lines = [encode(record) for record in [*records[:7], exchange(**poison), *records[7:]]]
    path = tmp_path / segment_name(GONE, 1, 1)
    path.write_bytes(b"".join(lines) + end_mark())
    readable = sum(isinstance(entry, Entry) for entry in read_segment(path))

    assert recorder_of(tmp_path, store).record() == readable

    assert stored_ids(store) == [record.id for record in records]
    assert store.damaged_records() == 1
    store.close()


def test_a_body_of_more_than_2_gib_is_recorded_with_the_largest_figure_there_is(
    tmp_path: Path, open_sqlite, recorder_of
) -> None:
    store = open_sqlite()
    (tmp_path / segment_name(GONE, 1, 1)).write_bytes(encode(exchange(id="a", bytes_out=2**33)) + end_mark())

    recorder_of(tmp_path, store).record()

    with store.engine.connect() as connection:
        assert connection.execute(select(EXCHANGE.c.bytes_out)).scalar_one() == 2**31 - 1
