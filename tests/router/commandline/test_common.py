"""What all commands share: how they fail, and how they open the store."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from alembic import command
from sqlalchemy import text
from tests_history import CONFIG, living, write_config

from experiments.config import load
from experiments.migrations import alembic_config
from experiments.model import Phase
from experiments.store import open_store
from router.commandline.common import load_or_fail, reading


class FailedError(Exception):
    """What a command would print before it exits with 2."""


def fail(message: str) -> NoReturn:
    raise FailedError(message)


def test_every_problem_of_a_configuration_is_told_a_line_each(tmp_path: Path) -> None:
    path = write_config(tmp_path, CONFIG.replace("mirror_percent = 100", "mirror_percent = 101\nmirorr = 1"))

    with pytest.raises(FailedError) as caught:
        load_or_fail(path, fail)

    first, *problems = str(caught.value).splitlines()
    assert first == "the configuration has errors:"
    assert [re.sub(r"^.*config.toml:", "", problem).split()[0] for problem in problems] == ["20", "21"]


# --- reading the store ------------------------------------------------------------------------------------------------


def test_a_store_that_is_there_is_read(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()

    with reading(life.config, fail) as store:
        assert store.routes()[0].phase is Phase.RUNNING


def test_a_database_that_was_never_made_is_one_line_and_is_not_made_by_looking(tmp_path: Path) -> None:
    config = load(write_config(tmp_path), {})

    with pytest.raises(FailedError) as caught, reading(config, fail):
        pass

    assert str(caught.value) == (
        f"no database at {tmp_path}/touchstone.db: has `touchstone serve` run with this configuration?"
    )
    assert not (tmp_path / "touchstone.db").exists()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def _old_schema(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE route (experiment VARCHAR)"))
    store.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.touch, "no such table: route"),
        (Path.mkdir, "unable to open database file"),
        (_garbage, "file is not a database"),
        (_old_schema, "no such column: route.epoch"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line(tmp_path: Path, make: Callable, said: str) -> None:
    config = load(write_config(tmp_path), {})
    make(tmp_path / "touchstone.db")

    with pytest.raises(FailedError) as caught, reading(config, fail) as store:
        store.routes()

    assert str(caught.value) == f"the database cannot be read: {said}"


def test_a_store_of_another_version_says_so_and_what_to_do(tmp_path: Path) -> None:
    config = load(write_config(tmp_path), {})
    store = open_store(config.router.database)
    with store.engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0007")
    store.close()

    with pytest.raises(FailedError) as caught, reading(config, fail) as store, store.engine.connect() as connection:
        connection.execute(text("SELECT count(*) FROM recorder"))

    assert str(caught.value).startswith("the database: the store has schema 0007, and this version reads 00")


def test_another_error_while_reading_is_not_taken_for_the_databases(tmp_path: Path) -> None:
    with living(tmp_path) as life:
        life.start()

    with pytest.raises(ZeroDivisionError), reading(life.config, fail):
        _ = 1 / 0
