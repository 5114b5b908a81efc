"""Alembic's entry point: migrates the connection that `experiments.migrations` hands in."""

from alembic import context
from sqlmodel import SQLModel

from experiments import tables  # noqa: F401  # registers the tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
