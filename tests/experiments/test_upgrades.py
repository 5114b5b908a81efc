"""A store of any earlier version is brought forward with its data kept: rows in every table that there was then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import (
    Boolean,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    create_engine,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA

from experiments import migrations
from experiments.migrations import alembic_config
from experiments.retention.days import first_id
from experiments.store import LoadedExchange, Store

REVISIONS = [f"{number:04}" for number in range(1, 10)]
# A live exchange and its shadow of long ago, one of a clock that is far ahead, and one that is no id of ours.
IDS = [f"{first_id(1.7e9)}-7000-8000-00000000000{end}" for end in "ab"]
IDS += [f"{first_id(9e9)}-7000-8000-00000000000c", "not one of ours"]


@pytest.fixture(name="engine", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def _engine(request: pytest.FixtureRequest, tmp_path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/t.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    yield engine
    engine.dispose()


def _tables(engine: Engine) -> dict[str, Table]:
    found = MetaData()
    found.reflect(engine, resolve_fks=False)
    partitions = ("exchange_", "outcome_")  # their rows are those of the whole
    known = {name: table for name, table in found.tables.items() if not name.startswith(partitions)}
    return {name: table for name, table in known.items() if name != "alembic_version"}


def _value(name: str, kind: Any, row: int) -> Any:
    """Something that the column takes, another one in each row."""
    if name in {"id", "pair", "exchange"} and not isinstance(kind, Integer):
        return IDS[row]
    if isinstance(kind, Boolean):
        return bool(row % 2)
    if isinstance(kind, Integer):
        return row + 1
    if isinstance(kind, Float) or str(kind) in {"FLOAT", "DOUBLE PRECISION"}:
        return row + 0.1
    if isinstance(kind, LargeBinary | BYTEA):
        return bytes([row])
    return {"of": f"{name} नमस्ते {row}"} if str(kind) == "JSON" else f"{name} नमस्ते {row}"


def _fill(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Put rows into every table, and return them as they came out again."""
    kept = {}
    with engine.begin() as connection:
        for name, table in _tables(engine).items():
            columns = [c for c in table.c if c.name != "seq"]
            rows = [{c.name: _value(c.name, c.type, row) for c in columns} for row in range(len(IDS))]
            connection.execute(table.delete())  # what a migration has put there
            connection.execute(insert(table), rows)
            kept[name] = _rows(connection, table, [c.name for c in table.c])
    return kept


def _rows(connection: Any, table: Table, names: list[str]) -> list[dict[str, Any]]:
    found = [dict(row) for row in connection.execute(select(*(table.c[name] for name in names))).mappings()]
    return sorted(found, key=str)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_of_every_table_is_there_afterwards(engine: Engine, revision: str, exchange) -> None:
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), revision)
    before = _fill(engine)
    assert all(len(rows) == len(IDS) for rows in before.values())

    Store(engine).migrate()

    tables = _tables(engine)
    with engine.connect() as connection:
        migrations.check(connection)
        for name, rows in before.items():
            assert _rows(connection, tables[name], list(rows[0])) == rows, name
        newest = connection.execute(text("SELECT max(seq) FROM exchange")).scalar_one()
    # What comes now is numbered behind it, and what was there is known again.
    new = [LoadedExchange(exchange=exchange(**changes).exchange) for changes in ({}, {"id": IDS[0]}, {"id": IDS[2]})]
    assert Store(engine).load("segment", 1, new) == 1
    [added] = Store(engine).exchanges("support", 1, newest, newest + 9)
    assert added.seq > newest
    assert Store(engine).find_exchange(IDS[2]) == "experiment नमस्ते 2"
    assert Store(engine).find_exchange(IDS[0]) == "experiment नमस्ते 0"


def test_of_the_looks_of_before_only_the_newest_and_those_that_changed_something_keep_their_state(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0006")
    tables = _tables(engine)
    with engine.begin() as connection:
        for name, numbers in (("look", (1, 2, 3)), ("transition", (1,))):
            columns = [c for c in tables[name].c if c.name != "seq"]
            rows = [{c.name: _value(c.name, c.type, 0) for c in columns} for _ in numbers]
            for row, number in zip(rows, numbers, strict=True):
                row["number" if name == "look" else "look"] = number
            connection.execute(insert(tables[name]), rows)

    Store(engine).migrate()

    with engine.connect() as connection:
        query = select(tables["look"].c.state).order_by(tables["look"].c.number)
        assert [bool(state) for state in connection.execute(query).scalars()] == [True, False, True]
