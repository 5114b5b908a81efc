"""A folder of an export as a store: its rows, put into a database of their own, so that everything reads them one way.

What is small (epochs, looks, transitions) is put in at once; exchanges, outcomes and feedback when they are first asked
for, page by page. The database is a temporary file, and is gone with the process.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, Table, create_engine, insert

from experiments.exporting.manifest import MANIFEST, SCHEMA_VERSION, ExportError, Manifest, read_manifest
from experiments.store import Store
from experiments.tables import EPOCH, EXCHANGE, FEEDBACK, LOOK, OUTCOME, ROUTE, TRANSITION
from experiments.workbench.errors import WorkbenchError, missing_library
from experiments.workbench.standings import route_state_of

_SMALL: Mapping[str, Table] = {"looks": LOOK, "transitions": TRANSITION}
_LARGE: Mapping[str, Table] = {"exchanges": EXCHANGE, "outcomes": OUTCOME, "feedback": FEEDBACK}
_NOT_EXPORTED: Mapping[str, Any] = {"state": "{}", "scored": True}
"""Columns that an export leaves out: the state of the statistics follows from the rows."""
_PAGE_ROWS = 5_000


class ExportedRows:
    """A database with what an export has.

    Args:
        folder: Of the export.

    Raises:
        WorkbenchError: It cannot be read, is of another version, or not of Parquet; or pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifest = _checked(folder)
        made = Path(tempfile.mkdtemp(prefix="touchstone-export-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        self.database = made / "touchstone.db"
        """A SQLite file."""
        self._is_loaded = False
        engine = self._engine()
        Store(engine).migrate()
        self._put_epochs(engine)
        self._put(engine, _SMALL)
        self._put_route(engine)
        engine.dispose()

    def __repr__(self) -> str:
        return f"<ExportedRows of {self._folder}>"

    @property
    def has_texts(self) -> bool:
        """Whether prompts and answers are in it."""
        return self._manifest.texts

    def load(self) -> None:
        """Put exchanges, outcomes and feedback in, unless they are there.

        Raises:
            WorkbenchError: A file is missing or cannot be read.
        """
        if self._is_loaded:
            return
        engine = self._engine()
        self._put(engine, _LARGE)
        engine.dispose()
        self._is_loaded = True

    def _engine(self) -> Engine:
        # It need not survive anything: what it has is in the export.
        return create_engine(f"sqlite:///{self.database}")

    def _put_epochs(self, engine: Engine) -> None:
        with engine.begin() as connection:
            rows = [msgspec.structs.asdict(epoch) for epoch in self._manifest.epochs]
            if rows:
                connection.execute(insert(EPOCH), rows)

    def _put(self, engine: Engine, tables: Mapping[str, Table]) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            for name, table in tables.items():
                columns = [column.name for column in table.c]
                marks = ", ".join("?" for _ in columns)
                # As texts: JSON goes from file to file as it is, without being read in between.
                statement = f'INSERT INTO "{table.name}" ({", ".join(columns)}) VALUES ({marks})'  # noqa: S608  # our own names
                for rows in self._pages(name):
                    values = [tuple(row.get(c, _NOT_EXPORTED.get(c)) for c in columns) for row in rows]
                    connection.exec_driver_sql(statement, values)

    def _pages(self, name: str) -> Iterator[Sequence[dict[str, Any]]]:
        import pyarrow.parquet as pq  # noqa: PLC0415

        parts = self._manifest.tables[name].parts if name in self._manifest.tables else []
        for part in parts:
            path = self._folder / part.file
            if not path.is_file():
                raise WorkbenchError(f"{self._folder / MANIFEST} names {part.file}, and it is not there")
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_PAGE_ROWS):
                    yield batch.to_pylist()

    def _put_route(self, engine: Engine) -> None:
        """Put in where the newest epoch stands: an export has its transitions, and no routes."""
        if not self._manifest.epochs:
            return
        epoch = self._manifest.epochs[-1]
        transitions = Store(engine).transitions(self._manifest.experiment)
        state = route_state_of(epoch, transitions)
        if state is None:
            return
        values = msgspec.to_builtins(state.route) | {
            "epoch_started_at": state.epoch_started_at,
            "stage_started_at": state.stage_started_at,
        }
        with engine.begin() as connection:
            connection.execute(insert(ROUTE), [values])


def _checked(folder: Path) -> Manifest:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        raise missing_library("a folder of an export", error.name) from error
    try:
        found = read_manifest(folder)
    except ExportError as error:
        raise WorkbenchError(str(error)) from error
    if found.kind != "parquet":
        raise WorkbenchError(f"{folder}: kind is {found.kind!r}, must be 'parquet': touchstone export --format parquet")
    if found.schema_version != SCHEMA_VERSION:
        raise WorkbenchError(
            f"{folder}: schema_version is {found.schema_version}, and this version reads {SCHEMA_VERSION}: export anew"
        )
    if found.since is not None:
        # Looks without the rows that they counted would be recomputed to something else.
        raise WorkbenchError(f"{folder}: the export was made with --since and is not whole: export without it")
    return found
