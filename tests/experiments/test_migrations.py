"""Migrations: they lead from nothing to the tables in code and back, and run as part of the transaction they are in."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, inspect, text
from sqlmodel import SQLModel

from experiments import migrations, tables
from experiments.migrations import alembic_config
from experiments.store import open_store


@pytest.fixture(name="engine", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def _engine(request: pytest.FixtureRequest, tmp_path) -> Iterator[Engine]:
    """An empty database of each kind."""
    url = f"sqlite:///{tmp_path}/t.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    yield engine
    engine.dispose()


def names(engine: Engine) -> set[str]:
    found = set(inspect(engine).get_table_names()) - {"alembic_version"}
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            found -= set(connection.execute(text("SELECT relname FROM pg_class WHERE relispartition")).scalars())
    return found


def migrate(engine: Engine) -> None:
    with engine.begin() as connection:
        migrations.upgrade(connection)


def test_an_empty_database_gets_every_table_that_the_code_knows(engine: Engine) -> None:
    migrate(engine)

    assert names(engine) == set(SQLModel.metadata.tables)
    assert {tables.EXCHANGE.name, tables.LOOK.name} <= names(engine)


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    before = {name: inspect(engine).get_columns(name) for name in names(engine)}
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO segment VALUES ('a', 1, 2, 3)"))

    migrate(engine)

    assert str({name: inspect(engine).get_columns(name) for name in names(engine)}) == str(before)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM segment")).all() == [("a", 1, 2, 3)]


def test_a_table_that_differs_from_the_code_is_found(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        migrations.check(connection)
        connection.execute(text("ALTER TABLE segment ADD COLUMN colour VARCHAR"))

    with engine.begin() as connection, pytest.raises(CommandError, match=r"colour"):
        migrations.check(connection)


def test_every_migration_can_be_taken_back_and_done_again(engine: Engine) -> None:
    migrate(engine)

    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert names(engine) == set()

    migrate(engine)
    with engine.begin() as connection:
        migrations.check(connection)


def test_there_is_one_newest_migration_and_every_other_one_leads_to_it(engine: Engine) -> None:
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))

    assert len(script.get_heads()) == 1
    numbers = [revision.revision for revision in script.walk_revisions()]
    assert sorted(numbers, reverse=True) == numbers


def test_a_database_of_a_later_version_is_refused_and_left_alone(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(CommandError, match=r"9999"):
        migrate(engine)

    assert names(engine) == set(SQLModel.metadata.tables)


ROOT = Path.cwd()


def test_a_real_kill_9_in_the_migration_does_not_brick_the_database(tmp_path) -> None:
    code = """
import os, signal, sys
from sqlalchemy import event
from experiments.store import open_store
store = open_store(sys.argv[1])
def kill(connection, cursor, statement, *_):
    if "CREATE TABLE exchange" in statement:
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(store.engine, "after_cursor_execute", kill)
store.migrate()
"""
    url = f"sqlite:///{tmp_path}/t.db"
    assert subprocess.run([sys.executable, "-c", code, url], cwd=ROOT, check=False).returncode == -9
    store = open_store(url)
    store.migrate()
    store.close()


def test_the_project_may_lie_in_a_folder_with_a_per_cent_sign(tmp_path) -> None:
    folder = tmp_path / "50%off"
    shutil.copytree(ROOT / "experiments", folder / "experiments")
    code = """
import experiments
from experiments.store import open_store
print(experiments.__file__)
store = open_store("sqlite:///t.db")
store.migrate()
store.close()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert "50%off" in done.stdout
    assert done.returncode == 0, done.stderr[-300:]
