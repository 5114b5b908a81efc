"""All of deploy/ reaches PostgreSQL by libpq's service file, so that no password stands in a configuration."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url
from tests_deploy import DEPLOY

from experiments.config import load
from experiments.leadership import Leadership
from experiments.store import open_store

CONFIGS = [DEPLOY / "compose" / "config.toml", DEPLOY / "kubernetes" / "config.toml"]


@pytest.mark.postgres
def test_store_and_leadership_find_host_user_and_password_in_the_file_that_anybody_may_read(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [address] = {load(path).router.database for path in CONFIGS}
    parsed = make_url(postgres_url)
    words = {"host": parsed.host or parsed.query["host"], "dbname": parsed.database, "user": parsed.username}
    words |= {name: value for name, value in {"port": parsed.port, "password": parsed.password}.items() if value}
    file = tmp_path / "pg_service.conf"
    file.write_text("[touchstone]\n" + "".join(f"{name}={value}\n" for name, value in words.items()))
    file.chmod(0o444)  # as it is mounted; libpq refuses a password file that others may read, and not this one
    monkeypatch.setenv("PGSERVICEFILE", str(file))

    with closing(open_store(address, "controller")) as store:
        store.migrate()
        assert store.routes() == []
    leadership = Leadership(address)
    assert leadership.try_lead()
    leadership.release()


def test_without_the_service_file_the_address_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICEFILE", "/nonexistent")
    monkeypatch.setenv("PGSYSCONFDIR", "/nonexistent")
    with (
        closing(open_store(load(CONFIGS[0]).router.database, "proxy")) as store,
        pytest.raises(Exception, match="service"),
    ):
        store.routes()
