"""What an engine sums up is what the controller itself has counted: for an export, and for either store."""

from pathlib import Path

import pytest
from tests_history import living
from tests_lives import TEXT, database, lived
from tests_rows import assert_same, state_of

from experiments.exporting.export import Export
from experiments.warehouse.engines import Engine
from experiments.warehouse.sources import opened


def test_an_export_and_the_sqlite_store_say_what_the_controller_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with living(tmp_path, database(tmp_path)) as life:
        life.store.migrate()
        ledger = lived(life)
        list(Export(life.store.engine, "support", tmp_path / "out", "parquet").run())

    assert ledger.units > 20
    assert ledger.events["complaint"]
    assert ledger.events["errors"]
    for data in (tmp_path / "out", f"sqlite:///{tmp_path}/touchstone.db"):
        with opened(data, "support") as source:
            assert_same(state_of(source, source.epochs[1]), ledger)


@pytest.mark.postgres
@pytest.mark.parametrize("engine", ["postgres", "duckdb"])
def test_a_postgresql_store_says_what_the_controller_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, engine: Engine
) -> None:
    monkeypatch.chdir(tmp_path)
    with living(tmp_path, TEXT.replace("sqlite:///touchstone.db", postgres_url)) as life:
        life.store.migrate()
        ledger = lived(life)
        with opened(postgres_url, "support", engine) as source:
            assert_same(state_of(source, source.epochs[1]), ledger)
