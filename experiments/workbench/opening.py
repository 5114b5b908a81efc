"""Opens what a data scientist has, for reading only: a configuration, a database or a folder of an export.

Nothing is created, migrated or written to. SQLite is opened by a connection that cannot write, PostgreSQL by
transactions that may not; an export is copied to a database of its own that is gone with the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from experiments.config import Config, ConfigError, load
from experiments.engines import engine_for
from experiments.exporting.manifest import MANIFEST
from experiments.migrations import alembic_config
from experiments.showing.reader import experiment_of
from experiments.store import Store
from experiments.stored import Epoch
from experiments.tables import EPOCH
from experiments.workbench.errors import SchemaError, WorkbenchError
from experiments.workbench.exported import ExportedRows
from experiments.workbench.opened import OpenStore


def open_store(what: str | Path, *, shown: str = "") -> OpenStore:
    """Open a store for reading; nothing is created, migrated or written to.

    Args:
        what: A `config.toml`; a SQLite file; a SQLAlchemy URL; or a folder of `touchstone export --format parquet`.
        shown: What to call it; as it was given, without a password, unless given.

    Raises:
        WorkbenchError: There is no such thing, it is no store, or one of an older or newer version.

    >>> open_store("no-such-file.toml")
    Traceback (most recent call last):
    ...
    experiments.workbench.errors.WorkbenchError: no-such-file.toml: there is no such file or folder
    """
    given = str(what)
    if "://" in given:
        return _of_url(_parsed(given), shown)
    path = Path(what)
    if path.is_dir():
        return _of_folder(path, shown or given)
    if not path.is_file():
        raise WorkbenchError(f"{given}: there is no such file or folder")
    if path.suffix == ".toml":
        return _of_config(path, shown or given)
    return _of_url(URL.create("sqlite", database=str(path)), shown or given)


def _parsed(given: str) -> URL:
    try:
        return make_url(given)
    except ArgumentError as error:
        raise WorkbenchError(f"{given.partition('://')[0]}://...: is no URL of a database") from error


def _of_config(path: Path, shown: str) -> OpenStore:
    try:
        config = load(path)
    except ConfigError as error:
        raise WorkbenchError(f"the configuration has errors:\n{error}") from error
    return _of_url(_parsed(config.router.database), shown, config)


def _of_url(url: URL, shown: str, config: Config | None = None) -> OpenStore:
    told = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite":
        # SQLite makes a file of whatever it is asked to open.
        if not url.database or not Path(url.database).is_file():
            raise WorkbenchError(f"no database at {url.database or told}: has `touchstone serve` run?")
        engine = sqlite_engine(Path(url.database))
    else:
        engine = _server_engine(url)
    with _telling(shown or told, engine):
        check_schema(engine, url.database if url.get_backend_name() == "sqlite" else told)
        return OpenStore(Store(engine), config or stored_config(engine), shown or told)


def _of_folder(folder: Path, shown: str) -> OpenStore:
    if not (folder / MANIFEST).is_file():
        raise WorkbenchError(f"{shown}: there is no {MANIFEST} in it; a folder must be one of `touchstone export`")
    rows = ExportedRows(folder)
    engine = sqlite_engine(rows.database)
    return OpenStore(Store(engine), stored_config(engine), shown, rows)


# --- engines ----------------------------------------------------------------------------------------------------------


def sqlite_engine(path: Path) -> Engine:
    """Return an engine whose connections cannot write to a SQLite file.

    Args:
        path: Must be there.
    """
    name = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    # SQLite keeps an index of its log beside the file, readers too. Where no file can be made, nobody writes either.
    fixed = "" if _may_write(path.absolute().parent) or _log_of(path).exists() else "&immutable=1"
    engine = create_engine(f"sqlite:///file:{name}?mode=ro{fixed}&uri=true")
    event.listen(engine, "connect", _only_read)
    return engine


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _only_read(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _server_engine(url: URL) -> Engine:
    try:
        engine = engine_for(url.render_as_string(hide_password=False), "command")
    except ModuleNotFoundError as error:
        raise WorkbenchError(
            f"the database needs the module {error.name}: pip install 'touchstone-router[postgres]'"
        ) from error
    except NoSuchModuleError as error:
        raise WorkbenchError(f"{url.drivername}: is no database that is known; sqlite and postgresql are") from error
    return engine.execution_options(postgresql_readonly=True)


@contextmanager
def _telling(shown: str, engine: Engine) -> Iterator[None]:
    """Turn what a database says into one line."""
    try:
        yield
    except DatabaseError as error:
        engine.dispose()
        raise WorkbenchError(f"{shown}: cannot be read: {' '.join(str(error.orig).split())}") from error
    except WorkbenchError:
        engine.dispose()
        raise


# --- what it is -------------------------------------------------------------------------------------------------------


def check_schema(engine: Engine, shown: str | None) -> None:
    """Refuse a database that is no store, or one of another version.

    Raises:
        WorkbenchError: It is; a `SchemaError` if it is a store.
    """
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            raise WorkbenchError(f"{shown}: is a database, and no store of Touchstone's")
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
        newest, known = _revisions(connection)
    if found == newest:
        return
    if found in known:
        raise SchemaError(
            f"{shown}: the store has schema {found}, and this version reads {newest}: `touchstone serve` of this "
            "version brings it there; nothing is migrated by reading"
        )
    raise SchemaError(
        f"{shown}: the store has schema {found}, which this version does not know; it reads {newest}: install the "
        "version that wrote it"
    )


def _revisions(connection: Connection) -> tuple[str | None, set[str]]:
    scripts = ScriptDirectory.from_config(alembic_config(connection))
    return scripts.get_current_head(), {script.revision for script in scripts.walk_revisions()}


def stored_config(engine: Engine) -> Config:
    """Return a configuration with every stored experiment as its newest epoch has it: for a store without a file."""
    query = select(EPOCH).order_by(EPOCH.c.experiment, EPOCH.c.number)
    with engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    newest = {row["experiment"]: row for row in rows}
    return Config(
        path=Path("config.toml"),
        backends={},
        experiments={name: experiment_of(epoch_of(row)) for name, row in newest.items()},
    )


def epoch_of(row: Any) -> Epoch:
    """Return the epoch of a row."""
    return msgspec.convert({name: row[name] for name in Epoch.__struct_fields__}, Epoch)
