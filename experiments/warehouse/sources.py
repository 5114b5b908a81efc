"""Where the data is: a folder of an export, a folder of Parquet files of any origin, or the store itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import msgspec
import pyarrow as pa
from sqlalchemy import Column, Table, create_engine, select
from sqlalchemy import Engine as StoreEngine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import JSON, Float, Integer, Text

from experiments.config.records import Experiment
from experiments.exporting.manifest import MANIFEST, Manifest
from experiments.stored import Epoch
from experiments.tables import EPOCH, EXCHANGE, FEEDBACK, LOOK, OUTCOME
from experiments.warehouse import engines
from experiments.warehouse.engines import Engine, Limits
from experiments.warehouse.records import WarehouseError
from experiments.warehouse.schema import COLUMNS, FOR_FEEDBACK, REQUIRED, checked
from experiments.warehouse.steps import SeenLook, checked_looks

_STORED: Mapping[str, Table] = {"exchanges": EXCHANGE, "outcomes": OUTCOME, "feedback": FEEDBACK, "looks": LOOK}
_BATCH_ROWS = 50_000


@dataclass
class Source:
    """Tables that an engine can read, and the configurations that came with them."""

    engine: Engine
    data: str
    """Folder, or URL without its password."""
    tables: dict[str, ir.Table]
    connection: Any
    epochs: dict[int, Experiment] = field(default_factory=dict)
    """Number -> configuration; empty where the data came without any."""

    def __repr__(self) -> str:
        return f"<Source {self.data} on {self.engine}>"

    def epoch_of(self, name: str, configured: Experiment | None, asked: int | None) -> tuple[int, Experiment]:
        """Return the number of the epoch to analyse and its configuration.

        Args:
            name: Of the experiment.
            configured: Its configuration, for data that came without any.
            asked: The epoch that was asked for.

        Raises:
            WarehouseError: There is no such epoch, there are several and none was chosen, or no configuration.
        """
        there = sorted(self.epochs) or self._epochs_there(name)
        if asked is None and len(there) > 1 and not self.epochs:
            told = ", ".join(map(str, there))
            raise WarehouseError(
                f"exchanges.epoch: {name} has epochs {told}, and figures of two are not mixed: --epoch N"
            )
        number = there[-1] if asked is None else asked
        if number not in there:
            told = ", ".join(map(str, there))
            raise WarehouseError(f"exchanges.epoch: {name} has no epoch {number}; there are: {told}")
        found = self.epochs.get(number, configured)
        if found is None:
            raise WarehouseError(f"{self.data} says nothing of the configuration of {name}: give one with --config")
        return number, found

    def _epochs_there(self, name: str) -> list[int]:
        exchanges = self.tables["exchanges"]
        found = exchanges.select("experiment", "epoch").distinct().to_pyarrow().to_pylist()
        epochs = sorted(row["epoch"] for row in found if row["experiment"] == name)
        if not epochs:
            others = ", ".join(sorted({repr(row["experiment"]) for row in found})) or "no rows at all"
            raise WarehouseError(f"exchanges.experiment: there is no row of {name!r}; there are: {others}")
        return epochs

    def looks(self, name: str, epoch: int) -> tuple[SeenLook, ...]:
        """Return the looks of an epoch, in order.

        Raises:
            WarehouseError: There are none, or what was counted cannot be told from them.
        """
        table = self.tables.get("looks")
        if table is None:
            raise WarehouseError("looks: there is no such table, and --as-of looks needs it; --as-of all does not")
        rows = table.filter(table.experiment == name, table.epoch == epoch).order_by("number")
        columns = rows.select(*SeenLook._fields).to_pyarrow().to_pydict()
        found = tuple(map(SeenLook, *(columns[name] for name in SeenLook._fields)))
        checked_looks(found)
        return found

    def keep(self, table: ir.Table) -> ir.CachedTable:
        """Have the engine compute a table and keep it."""
        return engines.keep(self.engine, self.connection, table)

    def write_parquet(self, rows: ir.Table, path: Path) -> None:
        """Write rows to a file: DuckDB does so itself, of other engines a batch comes at a time.

        Raises:
            OSError: It cannot be written.
        """
        import pyarrow.parquet as pq  # noqa: PLC0415

        if self.engine == "duckdb":
            rows.to_parquet(path, compression="zstd")
            return
        with rows.to_pyarrow_batches() as batches, pq.ParquetWriter(path, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)


@contextmanager
def opened(
    data: str | Path, experiment: str, engine: Engine = "duckdb", limits: Limits | None = None
) -> Iterator[Source]:
    """Open data for an engine; on leaving, the engine is closed.

    Args:
        data: A folder (of an export, or with `exchanges.parquet` or `exchanges/*.parquet`, and so on), or the URL of a
            store.
        experiment: Its name.
        engine: `postgres` reads a PostgreSQL store, `spark` a folder, `duckdb` all of them: it copies a store's rows to
            a table of its own, batch by batch.
        limits: What the engine may use.

    Raises:
        WarehouseError: There is no such data, it is not what it must be, or the engine cannot read it.
    """
    text, limits = str(data), limits or Limits()
    with ExitStack() as stack:
        if "://" in text:
            yield _of_store(stack, text, experiment, engine, limits)
        else:
            yield _of_folder(stack, Path(text), experiment, engine, limits)


# --- folders ----------------------------------------------------------------------------------------------------------


def _of_folder(stack: ExitStack, folder: Path, experiment: str, engine: Engine, limits: Limits) -> Source:
    if engine == "postgres":
        raise WarehouseError(f"--engine postgres reads the store's URL (postgresql+psycopg://...), not {folder}")
    manifest = _manifest(folder, experiment)
    files = _listed(folder, manifest) if manifest else _found(folder)
    connection = stack.enter_context(engines.spark(limits) if engine == "spark" else engines.duckdb(limits))
    tables = {name: engines.read_parquet(engine, connection, name, paths) for name, paths in files.items()}
    epochs = {epoch.number: _configured(epoch) for epoch in manifest.epochs} if manifest else {}
    return Source(engine, str(folder), checked(tables), connection, epochs)


def _manifest(folder: Path, experiment: str) -> Manifest | None:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise WarehouseError(f"{folder} is no folder")
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise WarehouseError(f"{path} cannot be read: {error}") from error
    if found.experiment != experiment:
        raise WarehouseError(f"{path}: experiment is {found.experiment!r}, not {experiment!r}")
    if found.kind != "parquet":
        raise WarehouseError(
            f"{path}: kind is {found.kind!r}, and must be 'parquet': touchstone export --format parquet"
        )
    return found


def _listed(folder: Path, manifest: Manifest) -> dict[str, list[Path]]:
    """Return the files that the manifest names: what else lies there is not complete, or not ours."""
    found = {}
    for name in COLUMNS:
        parts = manifest.tables[name].parts if name in manifest.tables else []
        paths = [folder / part.file for part in parts]
        for path in paths:
            if not path.is_file():
                raise WarehouseError(f"{folder / MANIFEST} names {path.relative_to(folder)}, and it is not there")
        if paths:
            found[name] = paths
        elif name in REQUIRED:
            raise WarehouseError(f"{name}: there are no rows in {folder}")
    return found


def _found(folder: Path) -> dict[str, list[Path]]:
    found = {}
    for name in COLUMNS:
        single = folder / f"{name}.parquet"
        paths = [single] if single.is_file() else sorted((folder / name).rglob("*.parquet"))
        if paths:
            found[name] = paths
        elif name in REQUIRED:
            raise WarehouseError(f"{name}: there is neither {MANIFEST} nor {name}.parquet nor {name}/ in {folder}")
    return found


# --- stores -----------------------------------------------------------------------------------------------------------


def _of_store(stack: ExitStack, url: str, experiment: str, engine: Engine, limits: Limits) -> Source:
    if engine == "spark":
        raise WarehouseError("--engine spark reads a folder: touchstone export --format parquet writes one")
    if engine == "postgres" and not url.startswith("postgres"):
        raise WarehouseError(
            "--engine postgres needs a URL postgresql+psycopg://...; --engine duckdb reads every store"
        )
    try:
        store = create_engine(url)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise WarehouseError(f"the store cannot be opened: {error}") from error
    stack.callback(store.dispose)
    shown = store.url.render_as_string(hide_password=True)
    if store.dialect.name == "sqlite" and not Path(store.url.database or "").is_file():
        raise WarehouseError(f"no database at {store.url.database}")
    epochs = _stored_epochs(store, experiment)
    if engine == "postgres":
        connection = stack.enter_context(engines.postgres(url))
        tables = {name: connection.table(table.name) for name, table in _STORED.items()}
        return Source(engine, shown, checked(tables), connection, epochs)
    connection = stack.enter_context(engines.duckdb(limits))
    tables = {name: _copied(store, connection, name, experiment) for name in _STORED}
    return Source(engine, shown, checked(tables), connection, epochs)


def _stored_epochs(store: StoreEngine, experiment: str) -> dict[int, Experiment]:
    query = select(EPOCH).where(EPOCH.c.experiment == experiment).order_by(EPOCH.c.number)
    try:
        with store.connect() as connection:
            rows = connection.execute(query).mappings().all()
    except SQLAlchemyError as error:
        raise WarehouseError(f"the store cannot be read: {' '.join(str(error).split())[:300]}") from error
    if not rows:
        raise WarehouseError(f"epoch.experiment: the store has no epoch of {experiment!r}")
    epochs = [Epoch(**{name: row[name] for name in Epoch.__struct_fields__}) for row in rows]
    return {epoch.number: _configured(epoch) for epoch in epochs}


def _configured(epoch: Epoch) -> Experiment:
    """Return the configuration of an epoch, as `experiments.showing.reader.experiment_of` does."""
    return Experiment.model_validate_json(msgspec.json.encode(epoch.config))


def _copied(store: StoreEngine, connection: Any, name: str, experiment: str) -> ir.Table:
    """Copy the columns that are read, batch by batch; what exceeds the engine's memory goes to its disk."""
    table = _STORED[name]
    wanted = [*COLUMNS[name], *(FOR_FEEDBACK if name == "exchanges" else ())]
    columns = [table.c[column] for column in wanted]
    query = select(*(column.cast(Text) if isinstance(column.type, JSON) else column for column in columns))
    if "experiment" in table.c:
        query = query.where(table.c.experiment == experiment)
    schema = pa.schema([(column.name, _arrow_type(column)) for column in columns])

    def batches() -> Iterator[pa.RecordBatch]:
        with store.connect().execution_options(stream_results=True, yield_per=_BATCH_ROWS) as reading:
            for rows in reading.execute(query).partitions(_BATCH_ROWS):
                arrays = [
                    pa.array(values, type_.type) for values, type_ in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.record_batch(arrays, schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    driver = connection.con
    driver.register("incoming", reader)
    driver.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM incoming")  # noqa: S608  # one of four names
    driver.unregister("incoming")
    return connection.table(name)


def _arrow_type(column: Column[Any]) -> pa.DataType:
    if isinstance(column.type, Integer):
        return pa.int64()
    return pa.float64() if isinstance(column.type, Float) else pa.string()
