"""The engines: DuckDB in this process, a PostgreSQL server, Apache Spark. Each gets tables from what it can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
from ibis.expr.operations import InMemoryTable
from sqlalchemy.engine import make_url

from experiments.warehouse.records import WarehouseError

Engine = Literal["duckdb", "postgres", "spark"]
ENGINES: tuple[Engine, ...] = ("duckdb", "postgres", "spark")
COMPILED_ONLY = ("clickhouse", "bigquery")
"""Engines for which SQL is compiled, and was never run by us."""
_MODULES = {"duckdb": "duckdb", "postgres": "psycopg", "spark": "pyspark"}
_EXTRAS = {"duckdb": "warehouse", "postgres": "warehouse,postgres", "spark": "warehouse,spark"}


@dataclass(frozen=True)
class Limits:
    """What an engine may use.

    Args:
        memory: Of DuckDB, as it writes it; what does not fit goes to disk.
        threads: Of DuckDB.
        temp_directory: Where that is; the system's unless given.
        spark_master: As Spark writes it.
        spark_settings: Of Spark's session, by their names there.
    """

    memory: str = "3GiB"
    threads: int = os.cpu_count() or 1
    temp_directory: Path | None = None
    spark_master: str = "local[*]"
    spark_settings: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _telling(engine: str, error_class: type[Exception]) -> Iterator[None]:
    """Turn what an engine says into one line."""
    try:
        yield
    except error_class as error:
        raise WarehouseError(f"{engine}: {_one_line(error)}") from error


@contextmanager
def duckdb(limits: Limits) -> Iterator[Any]:
    """Open DuckDB in this process, without any file of its own but what it swaps out.

    Raises:
        WarehouseError: It is not installed, or does not take a limit.
    """
    needed("duckdb")
    import duckdb as driver  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(prefix="touchstone-duckdb-", dir=limits.temp_directory) as swap,
        _telling("DuckDB", driver.Error),
    ):
        connection = ibis.duckdb.connect(
            memory_limit=limits.memory,
            threads=limits.threads,
            temp_directory=swap,
            # Rows carry their order in `seq`; to keep that of the files would cost memory.
            preserve_insertion_order=False,
        )
        try:
            yield connection
        finally:
            connection.disconnect()


@contextmanager
def postgres(url: str) -> Iterator[Any]:
    """Connect to a PostgreSQL server by its SQLAlchemy URL.

    Raises:
        WarehouseError: The driver is not installed, or the server is away.
    """
    needed("postgres")
    import psycopg  # noqa: PLC0415

    parts = make_url(url)
    query = {name: value for name, value in parts.query.items() if isinstance(value, str)}
    with _telling("PostgreSQL", psycopg.Error):
        connection = ibis.postgres.connect(
            host=parts.host or query.pop("host", None),
            port=parts.port or int(query.pop("port", 5432)),
            user=parts.username,
            password=parts.password,
            database=parts.database,
            **query,
        )
        try:
            yield connection
        finally:
            connection.disconnect()


@contextmanager
def spark(limits: Limits) -> Iterator[Any]:
    """Start Spark, as a cluster on this machine unless another master is named.

    Raises:
        WarehouseError: It is not installed, or does not start.
    """
    needed("spark")
    from pyspark.errors import PySparkException  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    settings: dict[str, Any] = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(2 * limits.threads),
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.showConsoleProgress": "false",
        **limits.spark_settings,
    }
    builder = SparkSession.builder.appName("touchstone analyze").master(limits.spark_master).config(map=settings)
    try:
        session = builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise WarehouseError(f"Spark does not start: {_one_line(error)}") from error
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield ibis.pyspark.connect(session)
    except PySparkException as error:
        raise WarehouseError(f"Spark: {_one_line(error)}") from error
    finally:
        session.stop()


def read_parquet(engine: Engine, connection: Any, name: str, files: Sequence[Path]) -> ir.Table:
    """Return Parquet files as one table; columns come from the files, never from the names of their folders."""
    paths = [str(file) for file in files]
    if engine == "spark":
        # Without this, `epoch=1/` in a path would become a second column `epoch`.
        frame = connection._session.read.option("recursiveFileLookup", "true").parquet(*paths)  # noqa: SLF001
        frame.createOrReplaceTempView(name)
        return connection.table(name)
    return connection.read_parquet(paths, table_name=name, hive_partitioning=False)


def keep(engine: Engine, connection: Any, table: ir.Table) -> ir.CachedTable:
    """Have an engine compute a table and keep it."""
    if engine == "spark":
        # Ibis 12 hands small tables of ours to Spark before it runs a query, but not before it keeps one.
        for small in table.op().find(InMemoryTable):
            connection.to_pyarrow(small.to_expr())
    return table.cache()


def needed(engine: Engine) -> None:
    """Refuse an engine whose library is not installed.

    Raises:
        WarehouseError: Says how to get it.
    """
    module = _MODULES[engine]
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        raise WarehouseError(
            f"--engine {engine} needs the module {error.name}: pip install 'touchstone-router[{_EXTRAS[engine]}]'"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
