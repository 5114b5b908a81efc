"""Whatever is opened is read and never changed; what cannot be opened is one line that says why."""

import os
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests_stores import NAME, copied, database, plain

from experiments import open_store
from experiments.workbench import OpenStore, WorkbenchError, example
from experiments.workbench.simulated import simulate

NOBODY = 65_534


def refused(what: str | Path) -> str:
    with pytest.raises(WorkbenchError) as caught:
        open_store(what)
    return str(caught.value)


def test_a_configuration_a_file_and_a_url_show_the_same_store() -> None:
    ways = [database().parent / "config.toml", database(), str(database()), f"sqlite:///{database()}"]

    found = [list(open_store(way).experiments()) for way in ways]

    assert found == [list(example().experiments())] * 4
    assert found[0][0]["name"] == NAME


def test_opening_and_reading_change_no_byte_and_make_no_file(tmp_path: Path) -> None:
    path = copied(tmp_path)
    before = path.read_bytes()

    with open_store(path) as store:
        plain(store)

    assert path.read_bytes() == before
    beside = {found.name for found in tmp_path.iterdir()} - {path.name}
    assert beside <= {f"{path.name}-wal", f"{path.name}-shm"}  # SQLite's own, of every reader
    assert not any((tmp_path / f"{path.name}-wal").read_bytes() for _ in beside)


def test_a_store_in_a_folder_where_one_may_not_write_is_read() -> None:
    example()  # made by whoever we are now
    with tempfile.TemporaryDirectory() as made:
        folder, me = Path(made), os.geteuid()
        path = copied(folder)
        path.chmod(0o444)
        folder.chmod(0o555)
        if me == 0:
            os.seteuid(NOBODY)  # root writes where nobody may
        try:
            with open_store(path) as store:
                assert [row["name"] for row in store.experiments()] == [NAME]
        finally:
            os.seteuid(me)
            folder.chmod(0o755)
        assert [found.name for found in folder.iterdir()] == [path.name]


def writes(store: OpenStore) -> None:
    with store._store.engine.begin() as connection:
        connection.execute(text("DELETE FROM outcome"))


def test_a_connection_cannot_write(tmp_path: Path) -> None:
    with open_store(copied(tmp_path)) as store, pytest.raises(DBAPIError, match="attempt to write a readonly database"):
        writes(store)


@pytest.mark.postgres
def test_postgresql_says_the_same_and_cannot_be_written_to(tmp_path: Path, postgres_url: str) -> None:
    with open_store(simulate(tmp_path, postgres_url)) as by_config, open_store(postgres_url) as by_url:
        assert plain(by_config) == plain(example())
        assert list(by_url.experiments()) == list(example().experiments())
        with pytest.raises(DBAPIError, match="read-only"):
            writes(by_url)
        with pytest.raises(WorkbenchError, match=r"no slice 'language=h' \(did you mean 'language=hi'"):
            by_url.experiment(NAME).pairs(slice="language=h")


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text((database().parent / "config.toml").read_text())

    assert refused(tmp_path / "no.db") == f"{tmp_path / 'no.db'}: there is no such file or folder"
    assert refused(f"sqlite:///{tmp_path}/no.db").startswith(f"no database at {tmp_path}/no.db")
    assert refused(config).startswith(f"no database at {tmp_path}/touchstone.db")
    assert "no manifest.json in it" in refused(tmp_path)
    assert "is no URL of a database" in refused("://")
    assert "is no database that is known" in refused("nosuch://host/x")
    assert [found.name for found in tmp_path.iterdir()] == ["config.toml"]


def test_a_configuration_with_errors_names_them(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[router]\nlisen = 3\n")

    assert 'did you mean "listen"' in refused(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = '0004'", "has schema 0004, and this version reads"),
        ("UPDATE alembic_version SET version_num = '9999'", "has schema 9999, which this version does not know"),
        ("DROP TABLE alembic_version", "is a database, and no store of Touchstone's"),
    ],
)
def test_a_store_of_another_version_is_refused_and_not_migrated(tmp_path: Path, statement: str, said: str) -> None:
    path = copied(tmp_path, statement)
    before = path.read_bytes()

    assert said in refused(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all, and long enough to be looked at as one " * 20)

    assert "file is not a database" in refused(tmp_path / "notes.txt")
