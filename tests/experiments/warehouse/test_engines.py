"""Engines start within their limits, or say why not; Spark runs the same expressions as a small cluster of its own."""

import shutil
from pathlib import Path

import pytest
from tests_rows import assert_same, experiment, history, state_of

from experiments.warehouse import engines
from experiments.warehouse.engines import Limits
from experiments.warehouse.records import WarehouseError
from experiments.warehouse.sources import opened


def test_duckdb_keeps_to_its_limits_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with engines.duckdb(Limits(memory="200MiB", threads=1, temp_directory=tmp_path)) as connection:
        (limit, threads) = connection.con.execute(
            "SELECT current_setting('memory_limit'), current_setting('threads')"
        ).fetchone()
        assert (limit, threads) == ("200.0 MiB", 1)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_limit_that_is_none_is_one_line() -> None:
    with (
        pytest.raises(WarehouseError, match=r"^DuckDB: .*Memory"),
        engines.duckdb(Limits(memory="much")),
    ):
        pass


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines._MODULES, "spark", "no_such_module")
    with pytest.raises(
        WarehouseError, match=r"--engine spark needs the module no_such_module: pip install '.*\[.*spark\]'"
    ):
        engines.needed("spark")


@pytest.mark.spark
# Python's own notes on sockets that PySpark leaves to the garbage collector.
@pytest.mark.filterwarnings("ignore")
def test_spark_says_what_the_ledger_counted(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="no PySpark: pip install 'touchstone-router[spark]'")
    if shutil.which("java") is None:
        pytest.skip("no Java")
    rows = history(2, experiment(cap=3, settle_s=5.0), requests=60, users=8)
    # For a handful of rows, compiling each query to a class costs far more than it saves.
    settings = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    limits = Limits(threads=1, spark_master="local-cluster[2,1,1024]", spark_settings=settings)

    with opened(rows.write(tmp_path), "support", "spark", limits) as source:
        assert_same(state_of(source, rows.experiment), rows.ledger())
        assert_same(state_of(source, rows.experiment, at_once=True), rows.ledger(at_once=True))
