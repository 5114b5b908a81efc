"""Alembic's entry point: migrates the connection that `experiments.migrations` hands in."""

from typing import Any

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

from experiments import tables  # which registers them

connection = context.config.attributes["connection"]


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether something in the database is to be held against the code: a table's partitions follow the table."""
    return kind != "table" or name not in _partitions()


def _is_for_this(item: Any, _name: str | None, kind: str, _reflected: bool, _found: object) -> bool:  # noqa: FBT001
    """Whether something in the code is to be held against this database."""
    return kind != "index" or item.info.get(tables.ONLY_ON, connection.dialect.name) == connection.dialect.name


def _partitions() -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.execute(text("SELECT relname FROM pg_class WHERE relispartition")).scalars())


context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    include_name=_is_ours,
    include_object=_is_for_this,
)
with context.begin_transaction():
    context.run_migrations()
