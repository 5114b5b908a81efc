"""Where data may be, and each way in which it is not there."""

from pathlib import Path

import pytest
from tests_history import living
from tests_rows import experiment, history

from experiments.exporting.export import Export
from experiments.warehouse.engines import Engine
from experiments.warehouse.records import WarehouseError
from experiments.warehouse.sources import opened


@pytest.fixture(name="exported", scope="module")
def _exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    with living(folder) as life:
        life.start()
        life.serve(0, 6)
        life.tick()
        for kind in ("parquet", "jsonl"):
            list(Export(life.store.engine, "support", folder / kind, kind).run())
    return folder


def test_an_export_brings_its_configuration_and_only_files_that_its_manifest_names(exported: Path) -> None:
    stray = next((exported / "parquet").rglob("outcomes*/**/*.parquet"), None) or next(
        (exported / "parquet").glob("o*.parquet")
    )
    stray.with_name("unfinished.parquet").write_bytes(b"half of it")

    with opened(exported / "parquet", "support") as source:
        assert source.epochs[1].policy.min_units == 100
        assert source.tables["outcomes"].count().to_pyarrow().as_py() == 6 * 6
        assert len(source.looks("support", 1)) == 1
    stray.with_name("unfinished.parquet").unlink()


def test_a_plain_folder_may_have_a_folder_a_table(tmp_path: Path) -> None:
    history(1, experiment(), requests=10).write(tmp_path)
    (tmp_path / "outcomes").mkdir()
    (tmp_path / "outcomes.parquet").rename(tmp_path / "outcomes" / "part-0.parquet")

    with opened(tmp_path, "support") as source:
        assert set(source.tables) == {"exchanges", "outcomes", "feedback", "looks"}
        with pytest.raises(WarehouseError, match="says nothing of the configuration of support"):
            source.epoch_of("support", None, None)


@pytest.mark.parametrize(
    ("data", "engine", "message"),
    [
        ("nowhere", "duckdb", "nowhere is no folder$"),
        (".", "duckdb", r"exchanges: there is neither manifest.json nor exchanges.parquet nor exchanges/ in \.$"),
        (".", "postgres", r"--engine postgres reads the store's URL .* not \.$"),
        ("jsonl", "duckdb", "kind is 'jsonl', and must be 'parquet'"),
        ("sqlite:///none.db", "duckdb", "no database at none.db$"),
        ("sqlite:///touchstone.db", "spark", "--engine spark reads a folder"),
        ("sqlite:///touchstone.db", "postgres", "--engine postgres needs a URL postgresql"),
        ("nothing://", "duckdb", "the store cannot be opened"),
    ],
)
def test_what_is_not_there_is_named(
    exported: Path, monkeypatch: pytest.MonkeyPatch, data: str, engine: Engine, message: str
) -> None:
    monkeypatch.chdir(exported)
    with pytest.raises(WarehouseError, match=message), opened(data, "support", engine):
        pass


def test_another_experiment_and_a_lost_file_are_named(exported: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(WarehouseError, match="experiment is 'support', not 'other'"),
        opened(exported / "parquet", "other"),
    ):
        pass
    (tmp_path / "manifest.json").write_bytes((exported / "parquet" / "manifest.json").read_bytes())
    with pytest.raises(WarehouseError, match=r"names exchanges.*, and it is not there$"), opened(tmp_path, "support"):
        pass
