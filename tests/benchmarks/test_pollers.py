"""Real pollers on a real store, and the account of a real server."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from benchmarks.database_server import DatabaseServer
from benchmarks.pollers import Plan, poll, prepared


def test_pollers_tell_of_each_change_when_the_last_of_them_has_it(tmp_path: Path) -> None:
    config = prepared(tmp_path, f"sqlite:///{tmp_path / 'polled.db'}")
    found = poll(Plan(config, pollers=2, seconds=2.0, wait_s=0.05), changes=3)
    assert found.polls > 2 * 3
    assert found.cpu_s > 0
    assert found.database_cpu_s is None, "SQLite has no server"
    assert len(found.last_s) == 3
    # A poll that saw the change was over after the commit; its clock was read after that of the one who committed.
    assert all(-0.05 < last < 2.0 for last in found.last_s)


@pytest.mark.postgres
def test_a_servers_account_holds_processes_that_have_ended(postgres_url: str) -> None:
    server = DatabaseServer.behind(postgres_url)
    if server is None:
        pytest.skip("the PostgreSQL is on another machine")
    before = server.cpu_s()
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        connection.execute(text("SELECT sum(sqrt(n)) FROM generate_series(1, 500000) n")).scalar_one()
        while_it_lives = server.cpu_s()
    engine.dispose()
    assert before < while_it_lives <= server.cpu_s() + 0.02  # ended processes are counted in ticks of 10 ms


def test_only_a_postgresql_has_a_server() -> None:
    assert DatabaseServer.behind("sqlite:///any.db") is None
