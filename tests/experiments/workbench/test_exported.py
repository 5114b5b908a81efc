"""A folder of an export is a store like any other, as far as it has what a store has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_stores import NAME, database, plain

from experiments import open_store
from experiments.exporting.export import Export
from experiments.store import open_store as writable
from experiments.workbench import OpenStore, WorkbenchError, example

pytest.importorskip("pyarrow", reason="needs pyarrow, of the extra export")


def exported(folder: Path, kind: str = "parquet", *, texts: bool = True) -> Path:
    store = writable(f"sqlite:///{database()}")
    list(Export(store.engine, NAME, folder, kind, with_texts=texts).run())
    store.close()
    return folder


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("export"))


@pytest.fixture(name="store")
def _store(folder: Path) -> Iterator[OpenStore]:
    with open_store(folder) as store:
        yield store


def test_it_says_what_its_store_says(store: OpenStore) -> None:
    assert plain(store) == plain(example())


def test_large_tables_are_read_when_they_are_asked_for(store: OpenStore) -> None:
    def rows() -> int:
        with store._store.engine.connect() as connection:
            return connection.execute(text("SELECT count(*) FROM outcome")).scalar_one()

    e = store.experiment(NAME)
    assert (len(e.looks()), e.verdict().phase, rows()) == (6, "promoted", 0)
    assert len(e.pairs()) == rows() > 0


def test_what_an_export_leaves_out_is_told(store: OpenStore, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="an export never has"):
        store.experiment(NAME).figures.durations()

    with open_store(exported(tmp_path, texts=False)) as bare:
        e = bare.experiment(NAME)
        for call in (lambda: e.pairs(texts=True), lambda: e.rescore("agreement")):
            with pytest.raises(WorkbenchError, match="the export has no texts: touchstone export --texts"):
                call()
        assert {row["prompt"] for row in e.exchanges()} == {None}


def test_another_form_and_a_missing_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="kind is 'jsonl', must be 'parquet'"):
        open_store(exported(tmp_path / "lines", "jsonl"))

    folder = exported(tmp_path / "parts")
    lost = next((folder / "outcomes").rglob("*.parquet"))
    lost.unlink()
    with open_store(folder) as store, pytest.raises(WorkbenchError, match=r"names outcomes/.*, and it is not there"):
        store.experiment(NAME).pairs()
