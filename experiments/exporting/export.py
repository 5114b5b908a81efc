"""What is stored of an experiment, as files: complete, in the order of the store, and added to by the next export.

Each table is a folder of part files, by epoch and day; `manifest.json` names them, says what their columns are, and how
far the store has been written out. It is written last, so whoever reads what it names reads nothing that is half there.
Memory stays that of one page of rows and of the row groups of a few open files, and no transaction lasts longer than
its page.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import JSON, Column, ColumnElement, Engine, Select, Table, Text, cast, func, select, text

from experiments.exporting.files import Kind, MissingLibraryError, Row, opener
from experiments.exporting.manifest import ExportError, Manifest, TableParts, continued, write_manifest
from experiments.exporting.parts import PartWriter, clear
from experiments.exporting.schema import Schema, Source, sources
from experiments.loading import wait_for_loads
from experiments.retention.dropped import dropped
from experiments.stored import Epoch
from experiments.tables import EPOCH, EXCHANGE, FEEDBACK

PAGE_ROWS = 5_000
PAGE_ROWS_WITH_TEXTS = 500
"""A prompt and an answer may have 64 KiB each."""
COMMIT_ROWS = 1_000_000
"""After so many rows of a table the manifest is written: what a cut loses, and the most that a part has."""
SCHEMA = "schema.json"
_LOCK = ".lock"


class _Stretch(NamedTuple):
    """Rows of a table that are read in the order of `seq`, page by page."""

    condition: ColumnElement[bool]
    after: int


class Export:
    """One export of one experiment.

    Args:
        engine: Of a migrated store.
        experiment: Its name.
        folder: Made if it is not there; an export that is in it is added to.
        kind: `jsonl` or `parquet`.
        with_texts: With prompts and answers.
        since: Leave out what came before: wall-clock time in seconds since the epoch.

    Raises:
        ExportError: The kind is unknown or not installed, or the folder has an export of something else.
    """

    def __init__(
        self,
        engine: Engine,
        experiment: str,
        folder: Path,
        kind: str,
        *,
        with_texts: bool = False,
        since: float | None = None,
    ) -> None:
        if kind not in {"jsonl", "parquet"}:
            raise ExportError(f"{kind!r} is no format: jsonl or parquet")
        self._engine, self._folder, self._since = engine, folder, since
        self._kind: Kind = "parquet" if kind == "parquet" else "jsonl"
        try:
            self._open = opener(self._kind)
        except MissingLibraryError as error:
            raise ExportError(str(error)) from error
        self._page_rows = min(PAGE_ROWS, PAGE_ROWS_WITH_TEXTS) if with_texts else PAGE_ROWS
        self._sources = sources(with_texts=with_texts)
        self.manifest = self._begun(experiment, with_texts=with_texts)
        self.written = dict.fromkeys((source.schema.name for source in self._sources), 0)
        """Table -> rows that this export added."""
        self._upto = {source.schema.name: self._newest(source.table) for source in self._sources}
        self._check_store()

    def __repr__(self) -> str:
        return f"<Export {self.manifest.experiment} {self._folder}>"

    @property
    def total(self) -> int:
        """Return how many rows there are to write."""
        count = 0
        with self._engine.connect() as connection:
            for source in self._sources:
                for stretch in self._stretches(source):
                    query = self._from(source, select(func.count()), stretch, stretch.after)
                    count += connection.execute(query).scalar_one()
        return count

    def run(self) -> Iterator[int]:
        """Write everything, and yield the number of rows of each page; the manifest comes last.

        Raises:
            ExportError: Another export is writing to the folder.
            OSError: A file cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with _only_one(self._folder):
            self._clear()
            for source in self._sources:
                yield from self._write(source)
            self._clear()
            schema = Schema(tables=tuple(source.schema for source in self._sources))
            (self._folder / SCHEMA).write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")
            self.manifest.exported_at.append(time.time())
            write_manifest(self._folder, self.manifest)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, source: Source) -> Iterator[int]:
        """Write what is new of a table to new parts; none if nothing is."""
        table = self.manifest.tables[source.schema.name]
        writer = PartWriter(self._folder, source.schema, self._kind, self._open, self._notes(source), table.parts)
        waiting = 0
        try:
            for page in self._pages(source):
                writer.write(page)
                self._note_times(source, page)
                waiting += len(page)
                self.written[source.schema.name] += len(page)
                if waiting >= COMMIT_ROWS:
                    table.add(writer.commit())
                    write_manifest(self._folder, self.manifest)
                    waiting = 0
                yield len(page)
            table.add(writer.commit())
        finally:
            writer.abandon()
        table.last_seq = max(table.last_seq, self._upto[source.schema.name])
        write_manifest(self._folder, self.manifest)

    def _notes(self, source: Source) -> dict[str, str]:
        manifest = self.manifest
        return {
            "touchstone.format_version": str(manifest.format_version),
            "touchstone.schema_version": str(manifest.schema_version),
            "touchstone.experiment": manifest.experiment,
            "touchstone.table": source.schema.name,
        }

    def _note_times(self, source: Source, page: Sequence[Row]) -> None:
        if source.table is EXCHANGE:
            place = list(source.columns).index("at")
            times = [row[place] for row in page]
            known = [at for at in (self.manifest.first_at, self.manifest.last_at) if at is not None]
            self.manifest.first_at, self.manifest.last_at = min([*known, *times]), max([*known, *times])

    def _pages(self, source: Source) -> Iterator[Sequence[Row]]:
        """Yield the new rows of a table, page by page, epoch by epoch: as its index has them."""
        seq, place = source.table.c.seq, list(source.columns).index("seq")
        columns = [_cell(column).label(name) for name, column in source.columns.items()]
        for stretch in self._stretches(source):
            after = stretch.after
            while True:
                query = self._from(source, select(*columns), stretch, after).order_by(seq)
                with self._engine.connect() as connection:
                    page = connection.execute(query.limit(self._page_rows)).all()
                if page:
                    after = page[-1][place]
                    yield page
                if len(page) < self._page_rows:
                    break

    def _from(self, source: Source, query: Select[Any], stretch: _Stretch, after: int) -> Select[Any]:
        # One lower bound: of two, SQLite seeks by the first and reads all up to the second, anew for every page.
        table = source.table
        if table is FEEDBACK:
            # Whose it is stands in the exchange that it is about.
            query = query.select_from(FEEDBACK.join(EXCHANGE, FEEDBACK.c.exchange == EXCHANGE.c.id))
        else:
            query = query.select_from(table)
        upto = self._upto[source.schema.name]
        query = query.where(stretch.condition, table.c.seq > after, table.c.seq <= upto)
        return query if self._since is None else query.where(table.c.at >= self._since)

    def _stretches(self, source: Source) -> Iterator[_Stretch]:
        owner = EXCHANGE if source.table is FEEDBACK else source.table
        mine = owner.c.experiment == self.manifest.experiment
        parts = self.manifest.tables[source.schema.name]
        if source.table is FEEDBACK:
            yield _Stretch(mine, parts.written_upto(None))
            return
        for epoch in self.manifest.epochs:
            yield _Stretch(mine & (owner.c.epoch == epoch.number), parts.written_upto(epoch.number))

    def _clear(self) -> None:
        clear(self._folder, self._kind, {name: table.parts for name, table in self.manifest.tables.items()})

    # --- where it begins ----------------------------------------------------------------------------------------------

    def _begun(self, experiment: str, *, with_texts: bool) -> Manifest:
        """Return the manifest of the folder, or a new one; with the epochs that there are by now."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(EPOCH).where(EPOCH.c.experiment == experiment).order_by(EPOCH.c.number))
            epochs = [Epoch(**{name: row[name] for name in Epoch.__struct_fields__}) for row in rows.mappings()]
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        schemas = (source.schema for source in self._sources)
        fresh = Manifest(
            store_revision=revision,
            experiment=experiment,
            kind=self._kind,
            texts=with_texts,
            since=self._since,
            epochs=epochs,
            tables={s.name: TableParts(columns={c.name: c.type for c in s.columns}) for s in schemas},
        )
        return continued(self._folder, fresh)

    def _newest(self, table: Table) -> int:
        with self._engine.begin() as connection:
            # Below the mark nothing is added any more, however many hosts load: the next export begins behind it.
            wait_for_loads(connection)
            return connection.execute(select(func.max(table.c.seq))).scalar_one() or 0

    def _has_dropped(self) -> bool:
        """Whether rows that were exported may have left the store since."""
        return any(dropped(self._engine, epoch.experiment, epoch.number) for epoch in self.manifest.epochs)

    def _check_store(self) -> None:
        for name, table in self.manifest.tables.items():
            if table.last_seq > self._upto[name] and not self._has_dropped():
                raise ExportError(f"{self._folder} has more {name} than there are: it is an export of another store")


def _cell(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as it goes into a file: JSON as the text that it is stored as, instead of decoded and encoded."""
    # The store writes a missing object as JSON's own null.
    return func.nullif(cast(column, Text), "null") if isinstance(column.type, JSON) else column


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep a second export out of a folder: it would take the first one's unfinished files for left-overs."""
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ExportError(f"{folder} is being written to by another export") from None
        yield


__all__ = ["COMMIT_ROWS", "PAGE_ROWS", "Export", "ExportError"]
