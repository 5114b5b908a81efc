"""How a process connects: by who it is, and by what the address says itself."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from experiments.engines import POOLS, Client, engine_for
from experiments.store import open_store


def test_a_sqlite_store_waits_for_other_writers_and_keeps_what_is_committed(tmp_path) -> None:
    engine = engine_for(f"sqlite:///{tmp_path}/t.db", "proxy")
    with engine.connect() as connection:
        found = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()

    assert found == ["wal", 2]


@pytest.mark.postgres
@pytest.mark.parametrize("client", POOLS)
def test_a_connection_says_whose_it_is_and_notices_soon_that_the_server_is_gone(
    migrated_postgres_url: str, client: Client
) -> None:
    store = open_store(migrated_postgres_url, client)
    with store.engine.connect() as connection:
        said = connection.execute(text("SELECT current_setting('application_name')")).scalar()
        limit = connection.execute(text("SELECT current_setting('statement_timeout')")).scalar()
        raw = connection.connection.driver_connection
        known = dict(raw.info.get_parameters())
        prepares = raw.prepare_threshold is not None
    store.close()

    pool = POOLS[client]
    assert said == f"touchstone {client}"
    assert limit == ("0" if pool.statement_ms is None else f"{pool.statement_ms // 1_000}s")
    assert (known["connect_timeout"], known["keepalives_idle"], known["tcp_user_timeout"]) == ("5", "30", "30000")
    assert prepares is pool.prepares


@pytest.mark.postgres
def test_what_the_address_says_goes_before(migrated_postgres_url: str) -> None:
    store = open_store(f"{migrated_postgres_url}&application_name=mine&connect_timeout=2", "controller")
    with store.engine.connect() as connection:
        said = connection.execute(text("SELECT current_setting('application_name')")).scalar()
        known = connection.connection.driver_connection.info.get_parameters()
    store.close()

    assert (said, known["connect_timeout"]) == ("mine", "2")


@pytest.mark.postgres
def test_a_page_that_reads_for_too_long_is_ended_and_the_next_one_is_read(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POOLS, "pages", POOLS["pages"]._replace(statement_ms=50))
    store = open_store(migrated_postgres_url, "pages")
    with pytest.raises(OperationalError, match="statement timeout"), store.engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))

    assert store.routes() == []
    store.close()
