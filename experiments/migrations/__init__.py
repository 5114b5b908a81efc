"""Schema migrations (alembic), run by `touchstone` itself: nobody needs an `alembic.ini`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection) -> Config:
    """Return alembic's configuration for one open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Bring the database of this connection to the newest schema."""
    command.upgrade(alembic_config(connection), "head")


def check(connection: Connection) -> None:
    """Raise if the tables in code and the newest schema differ."""
    command.check(alembic_config(connection))
