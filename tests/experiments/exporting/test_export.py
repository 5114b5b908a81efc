"""An export has every row once, however often it is done again, and says what is in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests_history import CONFIG, START, Life, bad, living

from experiments.exporting import export as exporting
from experiments.exporting.export import Export, ExportError
from experiments.model import Feedback
from experiments.retention.dropping import drop_rows

OTHER = CONFIG[CONFIG.index("[experiments.support]") :].replace("support", "other")


@pytest.fixture(name="life")
def _life(tmp_path: Path) -> Iterator[Life]:
    with living(tmp_path, CONFIG + OTHER) as life:
        life.start()
        yield life


def export(life: Life, folder: Path, **changes) -> Export:
    made = Export(life.store.engine, "support", folder, "jsonl", **changes)
    assert sum(made.run()) == sum(made.written.values())
    return made


def rows(folder: Path, table: str) -> list[dict]:
    parts = json.loads((folder / "manifest.json").read_text())["tables"][table]["parts"]
    return [json.loads(line) for part in parts for line in (folder / part["file"]).read_text().splitlines()]


def count(life: Life, table: str) -> int:
    with life.store.engine.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_every_row_is_there_once_and_texts_only_if_asked_for(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE_ROWS", 7)
    life.serve(0, 20)
    life.write(Feedback(exchange="live-3", metric="complaint", value=False, at=life.now))
    life.tick()
    life.tick()

    export(life, tmp_path / "bare")
    export(life, tmp_path / "whole", with_texts=True)

    for name, table in (
        ("exchanges", "exchange"),
        ("outcomes", "outcome"),
        ("feedback", "feedback"),
        ("looks", "look"),
    ):
        found = [row["seq"] for row in rows(tmp_path / "bare", name)]
        assert found == sorted(set(found))
        wanted = count(life, table) if name != "looks" else len(life.store.looks("support", 1))
        assert len(found) == wanted > 0
    assert "prompt" not in rows(tmp_path / "bare", "exchanges")[0]
    assert rows(tmp_path / "whole", "exchanges")[0]["answer"] == "yes"
    assert "state" not in rows(tmp_path / "bare", "looks")[0]


def test_done_again_it_adds_what_is_new_and_touches_nothing_else(life: Life, tmp_path: Path) -> None:
    life.serve(0, 10)
    life.tick()
    export(life, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.jsonl")}
    assert before
    life.serve(10, 15)
    life.tick()

    again = export(life, tmp_path / "out")
    nothing = export(life, tmp_path / "out")

    assert again.written["exchanges"] == 10
    assert not any(nothing.written.values())
    for path, content in before.items():
        assert path.read_bytes() == content
    assert len(rows(tmp_path / "out", "exchanges")) == 30
    assert len({row["seq"] for row in rows(tmp_path / "out", "exchanges")}) == 30
    assert len(nothing.manifest.exported_at) == 3


def test_the_manifest_has_the_configuration_of_each_epoch_and_the_time_range(life: Life, tmp_path: Path) -> None:
    life.serve(0, 4)
    life.tick(5)
    life.serve(4, 8)
    life.tick()

    manifest = export(life, tmp_path / "out").manifest

    assert [(epoch.number, epoch.config["treatment"]) for epoch in manifest.epochs] == [(1, "int4")]
    assert (manifest.first_at, manifest.last_at) == (START, START + 5)
    table = manifest.tables["exchanges"]
    assert (table.rows, table.parts[0].rows, table.parts[0].first_seq) == (16, 16, 1)
    assert table.columns["slices"] == "json"


def test_what_came_before_a_time_is_left_out(life: Life, tmp_path: Path) -> None:
    life.serve(0, 4)
    life.tick(5)
    life.serve(4, 6)
    life.tick()

    assert export(life, tmp_path / "out", since=START + 1).written["exchanges"] == 4


def test_an_export_that_was_cut_off_goes_on_from_where_the_manifest_ends(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in the third page of the exchanges, when the first two are committed."""
    monkeypatch.setattr(exporting, "PAGE_ROWS", 4)
    monkeypatch.setattr(exporting, "COMMIT_ROWS", 8)
    life.serve(0, 10)
    life.tick()
    cut = Export(life.store.engine, "support", tmp_path / "out", "jsonl").run()
    for _ in range(3):
        next(cut)
    cut.close()
    assert len(rows(tmp_path / "out", "exchanges")) == 8
    orphan = tmp_path / "out" / "exchanges" / "epoch_number=1" / "day=2023-11-14" / "part-00009.jsonl"
    orphan.write_text("moved to its place, and cut off before the manifest named it")

    again = export(life, tmp_path / "out")

    assert again.written["exchanges"] == 12
    assert sorted(row["seq"] for row in rows(tmp_path / "out", "exchanges")) == list(range(1, 21))
    assert not orphan.exists()
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_file()} == {
        ".lock",
        "manifest.json",
        "schema.json",
    }


def test_rows_lie_in_the_day_of_their_time_in_utc(life: Life, tmp_path: Path) -> None:
    life.serve(0, 2)
    life.tick(7_200)
    life.serve(2, 5)
    life.write(Feedback(exchange="live-0", metric="complaint", value=True, at=life.now))
    life.tick()

    tables = export(life, tmp_path / "out").manifest.tables

    assert [(part.epoch, part.day, part.rows) for part in tables["exchanges"].parts] == [
        (1, "2023-11-14", 4),
        (1, "2023-11-15", 6),
    ]
    assert [(part.epoch, part.day) for part in tables["feedback"].parts] == [(1, "2023-11-15")]
    assert rows(tmp_path / "out", "feedback")[0]["epoch"] == 1


def test_a_second_export_into_a_folder_waits_for_nobody_and_is_refused(life: Life, tmp_path: Path) -> None:
    first = Export(life.store.engine, "support", tmp_path / "out", "jsonl").run()
    next(first)

    with pytest.raises(ExportError, match="is being written to by another export"):
        list(Export(life.store.engine, "support", tmp_path / "out", "jsonl").run())
    first.close()


@pytest.mark.postgres
def test_postgresql_gives_the_same_files(life: Life, tmp_path: Path, postgres_url: str) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "second").mkdir()
    with living(tmp_path / "second", (CONFIG + OTHER).replace("sqlite:///touchstone.db", postgres_url)) as other:
        other.start()
        for name, lived in (("sqlite", life), ("postgres", other)):
            lived.serve(0, 4, bad)
            lived.tick()
            made = Export(lived.store.engine, "support", tmp_path / name, "parquet", with_texts=True)
            assert sum(made.run()) > 20

    written = sorted(path.relative_to(tmp_path / "sqlite") for path in (tmp_path / "sqlite").rglob("*.parquet"))
    assert len(written) == 4
    for path in written:
        ours, theirs = (pq.ParquetFile(tmp_path / name / path).read() for name in ("sqlite", "postgres"))
        random = {"unit", "bucket", "assigned", "served", "answer"}  # each store has a salt of its own
        kept = [name for name in ours.column_names if name not in random or path.parts[0] != "exchanges"]
        kept = [name for name in kept if name not in {"unit", "evidence", "decision"}]
        assert ours.select(kept).equals(theirs.select(kept), check_metadata=True), path


def test_memory_is_that_of_a_page(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE_ROWS", 5)
    life.serve(0, 20)
    life.tick()

    assert max(Export(life.store.engine, "support", tmp_path / "out", "jsonl").run()) == 5


def test_a_folder_of_another_store_is_refused(life: Life, tmp_path: Path) -> None:
    life.serve(0, 4)
    life.tick()
    export(life, tmp_path / "out")
    (tmp_path / "second").mkdir()

    with living(tmp_path / "second") as other:
        other.start()
        with pytest.raises(ExportError, match="it is an export of another store"):
            Export(other.store.engine, "support", tmp_path / "out", "jsonl")


def test_what_has_left_the_store_since_stays_in_the_export_and_what_comes_is_added(life: Life, tmp_path: Path) -> None:
    life.serve(0, 4)
    life.tick()
    export(life, tmp_path / "out")
    with life.store.engine.begin() as connection:
        connection.execute(text("UPDATE route SET phase = 'stopped', mirror_basis_points = 0"))
    assert drop_rows(life.store.engine, life.now + 1, 1_000, life.now, 2) == 8

    assert sum(export(life, tmp_path / "out").written.values()) == 0
    life.serve(4, 6)
    life.tick()
    export(life, tmp_path / "out")

    assert [row["id"] for row in rows(tmp_path / "out", "exchanges") if row["role"] == "live"] == [
        f"live-{number}" for number in range(6)
    ]
