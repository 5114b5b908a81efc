"""One controller leads a store, and another one within ten seconds after it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from structlog.testing import capture_logs

from experiments.leadership import LOCK_SUFFIX, Leadership

ROOT = Path(__file__).parents[2]
REPLACED_WITHIN_S = 10.0

CONTROLLER = """
import subprocess, sys, time
from experiments.leadership import Leadership
leadership = Leadership(sys.argv[1])
while not leadership.try_lead():
    time.sleep(0.05)
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
print("leads", flush=True)
sys.stdin.read()
"""
"""Leads until its standard input ends, with a child on the same input, which outlives it."""


@pytest.fixture(name="url", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'touchstone.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(name="candidate")
def _candidate() -> Iterator[Callable[[str], Leadership]]:
    """Make candidates that let go at the end of the test."""
    with ExitStack() as stack:

        def make(url: str) -> Leadership:
            leadership = Leadership(url)
            stack.callback(leadership.release)
            return leadership

        yield make


@pytest.fixture(name="process")
def _process() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start controllers as processes of their own."""
    with ExitStack() as stack:

        def start(url: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", CONTROLLER, url],
                cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            stack.callback(end, process)
            return process

        yield start


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def says_that_it_leads(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return any(line == "leads\n" for line in process.stdout)  # among lines of its log


def seconds_until_it_leads(candidate: Leadership) -> float:
    begun = time.monotonic()
    while not candidate.try_lead():
        assert time.monotonic() < begun + REPLACED_WITHIN_S
        time.sleep(0.05)
    return time.monotonic() - begun


# --- both databases ---------------------------------------------------------------------------------------------------


def test_one_leads_and_the_next_one_does_when_it_lets_go(url: str, candidate: Callable[[str], Leadership]) -> None:
    one, other = candidate(url), candidate(url)

    before = (one.try_lead(), one.try_lead(), other.try_lead(), one.still_leads(), other.still_leads())
    one.release()
    after = (one.still_leads(), other.try_lead(), one.try_lead(), other.still_leads())

    assert before == (True, True, False, True, False)
    assert after == (False, True, False, True)


def test_a_leader_that_is_killed_by_9_is_replaced_within_ten_seconds(
    url: str, candidate: Callable[[str], Leadership], process: Callable[[str], subprocess.Popen[str]]
) -> None:
    follower = candidate(url)
    leader = process(url)
    assert says_that_it_leads(leader)
    assert not follower.try_lead()

    leader.send_signal(signal.SIGKILL)
    leader.wait()

    assert seconds_until_it_leads(follower) < REPLACED_WITHIN_S
    assert follower.still_leads()


def test_of_many_that_wait_exactly_one_follows_a_killed_leader(
    url: str, process: Callable[[str], subprocess.Popen[str]], candidate: Callable[[str], Leadership]
) -> None:
    leader = process(url)
    assert says_that_it_leads(leader)
    waiting = [candidate(url) for _ in range(5)]
    assert [one.try_lead() for one in waiting] == [False] * 5

    leader.kill()
    deadline = time.monotonic() + REPLACED_WITHIN_S
    found: list[bool] = []
    while not any(found):
        assert time.monotonic() < deadline
        found = [one.try_lead() for one in waiting]

    assert sum(one.try_lead() for one in waiting) == 1


def test_a_leader_that_is_held_up_stays_the_only_one(
    url: str, process: Callable[[str], subprocess.Popen[str]], candidate: Callable[[str], Leadership]
) -> None:
    leader, follower = process(url), candidate(url)
    assert says_that_it_leads(leader)

    leader.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    while_it_is_held = follower.try_lead()
    leader.send_signal(signal.SIGCONT)

    assert not while_it_is_held


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_a_leader_whose_connection_is_lost_knows_it_and_another_one_leads(
    postgres_url: str, candidate: Callable[[str], Leadership]
) -> None:
    one, other = candidate(postgres_url), candidate(postgres_url)
    assert one.try_lead()
    cut_all_locks(postgres_url)

    assert seconds_until_it_leads(other) < REPLACED_WITHIN_S
    assert not one.still_leads()
    assert not one.try_lead()
    other.release()
    assert one.try_lead()


def cut_all_locks(url: str) -> None:
    """End the sessions that hold an advisory lock, as a restart of the server would."""
    engine = create_engine(url)
    with engine.begin() as connection:
        ended = connection.execute(
            text("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'")
        ).scalar_one()
    engine.dispose()
    assert ended == 1


@pytest.mark.postgres
def test_two_schemas_of_one_database_have_a_leader_each(
    postgres_url: str, candidate: Callable[[str], Leadership]
) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS second"))
    engine.dispose()
    second = make_url(postgres_url).update_query_dict({"options": "-csearch_path=second"})

    one, other = candidate(postgres_url), candidate(second.render_as_string(hide_password=False))

    assert one.try_lead()
    assert other.try_lead()


@pytest.mark.postgres
def test_the_connection_of_a_leader_is_in_no_transaction(
    postgres_url: str, candidate: Callable[[str], Leadership]
) -> None:
    assert candidate(postgres_url).try_lead()
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        states = connection.execute(
            text("SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory'")
        ).all()
    engine.dispose()

    assert [tuple(row) for row in states] == [("idle",)]


def test_where_the_server_is_away_nobody_leads_and_no_password_is_logged() -> None:
    pytest.importorskip("psycopg")
    leadership = Leadership("postgresql+psycopg://someone:hunter2@127.0.0.1:9/touchstone")

    with capture_logs() as logs:
        leads = leadership.try_lead()
    leadership.release()

    assert not leads
    assert [entry["event"] for entry in logs] == ["leadership_unavailable"]
    assert "hunter2" not in f"{logs}{leadership!r}"


# --- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:shared?mode=memory&uri=true"])
def test_a_store_in_memory_is_led_by_its_only_process(url: str, tmp_path: Path) -> None:
    leadership = Leadership(url)

    assert (leadership.try_lead(), leadership.still_leads()) == (True, True)
    leadership.release()
    assert not leadership.still_leads()
    assert list(tmp_path.iterdir()) == []


def test_two_databases_in_one_folder_have_a_leader_each(tmp_path: Path, candidate: Callable[[str], Leadership]) -> None:
    assert all(candidate(f"sqlite:///{tmp_path / name}").try_lead() for name in ("one.db", "other.db"))


def test_a_path_given_as_uri_is_the_same_database(tmp_path: Path, candidate: Callable[[str], Leadership]) -> None:
    path = tmp_path / "touchstone.db"
    assert candidate(f"sqlite:///{path}").try_lead()

    assert not candidate(f"sqlite:///file:{path}?uri=true").try_lead()


def test_the_file_stays_and_is_readable_by_us_alone(tmp_path: Path, candidate: Callable[[str], Leadership]) -> None:
    leadership = candidate(f"sqlite:///{tmp_path / 'touchstone.db'}")
    leadership.try_lead()
    leadership.release()
    path = tmp_path / f"touchstone.db{LOCK_SUFFIX}"

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_leader_whose_file_is_deleted_knows_that_it_keeps_nobody_out(
    tmp_path: Path, candidate: Callable[[str], Leadership]
) -> None:
    url = f"sqlite:///{tmp_path / 'touchstone.db'}"
    one, other = candidate(url), candidate(url)
    one.try_lead()
    (tmp_path / f"touchstone.db{LOCK_SUFFIX}").unlink()

    assert other.try_lead()
    assert not one.still_leads()
    assert not one.try_lead()


def test_a_folder_that_cannot_be_made_leaves_nobody_leading(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    leadership = Leadership(f"sqlite:///{tmp_path / 'file' / 'touchstone.db'}")

    with capture_logs() as logs:
        assert not leadership.try_lead()
    assert [entry["event"] for entry in logs] == ["leadership_unavailable"]


def test_descriptors_are_not_leaked_by_one_that_waits(tmp_path: Path, candidate: Callable[[str], Leadership]) -> None:
    url = f"sqlite:///{tmp_path / 'touchstone.db'}"
    leader, follower = candidate(url), candidate(url)
    leader.try_lead()
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(100):
        follower.try_lead()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
