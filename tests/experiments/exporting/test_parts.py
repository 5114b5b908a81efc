"""Part files: by epoch and day, few of them open at once, none half there; whole folders are read by other tools."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.exporting import parts as exporting
from experiments.exporting.files import opener
from experiments.exporting.manifest import Part
from experiments.exporting.parts import PartWriter, clear
from experiments.exporting.schema import sources

DAY_S = 86_400.0
FEEDBACK = next(source.schema for source in sources(with_texts=False) if source.schema.name == "feedback")


def row(seq: int, day: int, epoch: int = 1) -> tuple:
    """A row of `feedback`: seq, exchange, metric, source, value, at, epoch."""
    return (seq, f"live-{seq}", "complaint", "client", 1.0, 20_000 * DAY_S + day * DAY_S + seq, epoch)


def writer(folder: Path, kind="jsonl", known: list[Part] | None = None) -> PartWriter:
    return PartWriter(folder, FEEDBACK, kind, opener(kind), {}, known or [])


def found(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("part-*"))


def test_rows_lie_by_epoch_and_day_and_are_visible_only_once_committed(tmp_path: Path) -> None:
    work = writer(tmp_path)
    work.write([row(1, 0), row(2, 1), row(3, 0)])
    work.write([row(4, 1, epoch=2)])
    assert all(name.startswith(".unfinished/") for name in found(tmp_path))

    done = work.commit()

    assert [(part.file, part.rows, part.first_seq, part.last_seq) for part in done] == [
        ("feedback/epoch_number=1/day=2024-10-04/part-00001.jsonl", 2, 1, 3),
        ("feedback/epoch_number=1/day=2024-10-05/part-00001.jsonl", 1, 2, 2),
        ("feedback/epoch_number=2/day=2024-10-05/part-00001.jsonl", 1, 4, 4),
    ]
    assert [(part.epoch, part.day) for part in done][1:] == [(1, "2024-10-05"), (2, "2024-10-05")]
    assert found(tmp_path) == [part.file for part in done]
    assert writer(tmp_path, known=done).commit() == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=20), max_size=6))
def test_every_row_is_in_one_part_of_its_day_however_the_days_come(tmp_path_factory, pages) -> None:
    folder, seq, wanted = tmp_path_factory.mktemp("parts"), 0, {}
    work = writer(folder)
    for page in pages:
        rows = []
        for day, epoch in page:
            seq += 1
            rows.append(row(seq, day, epoch))
            wanted[seq] = (epoch, day)
        work.write(rows)
        assert len(work._open) <= exporting.MOST_OPEN

    read = {}
    for part in work.commit():
        lines = [json.loads(line) for line in (folder / part.file).read_text().splitlines()]
        seqs = [line["seq"] for line in lines]
        assert seqs == sorted(seqs)
        assert (len(seqs), seqs[0], seqs[-1]) == (part.rows, part.first_seq, part.last_seq)
        assert len({wanted[number] for number in seqs}) == 1
        assert {line["epoch"] for line in lines} == {part.epoch}
        read |= dict.fromkeys(seqs)
    assert read.keys() == wanted.keys()


def test_what_no_manifest_names_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    work = writer(tmp_path)
    work.write([row(1, 0)])
    named = work.commit()
    work.write([row(2, 0)])
    work.commit()
    work.write([row(3, 0)])
    work.abandon()
    mine = tmp_path / "feedback" / "epoch_number=1" / "notes.txt"
    mine.touch()

    clear(tmp_path, "jsonl", {"feedback": named})

    assert found(tmp_path) == [named[0].file]
    assert mine.exists()
    assert not (tmp_path / ".unfinished").exists()


def test_a_whole_folder_is_read_with_its_epochs_and_days_by_pandas_pyarrow_and_duckdb(tmp_path: Path) -> None:
    duckdb, pandas = pytest.importorskip("duckdb"), pytest.importorskip("pandas")
    dataset = pytest.importorskip("pyarrow.dataset")
    work = writer(tmp_path, "parquet")
    work.write([row(1, 0), row(2, 1), row(3, 1, epoch=2)])
    work.commit()
    work.write([row(4, 0)])  # cut off here: nobody must see it

    frame = pandas.read_parquet(tmp_path / "feedback").sort_values("seq")
    filtered = pandas.read_parquet(tmp_path / "feedback", filters=[("epoch_number", "=", 2)])
    table = dataset.dataset(tmp_path / "feedback", partitioning="hive").to_table()
    query = (
        f"SELECT epoch, epoch_number, day::VARCHAR FROM read_parquet('{tmp_path}/feedback/*/*/*.parquet') ORDER BY seq"
    )
    with duckdb.connect() as database:
        rows = database.execute(query).fetchall()
    work.abandon()

    wanted = [(1, 1, "2024-10-04"), (1, 1, "2024-10-05"), (2, 2, "2024-10-05")]
    assert rows == wanted
    assert list(zip(frame["epoch"], frame["epoch_number"], frame["day"], strict=True)) == wanted
    assert str(frame["epoch"].dtype) == "int64"
    assert list(filtered["seq"]) == [3]
    assert sorted(table["epoch"].to_pylist()) == [1, 1, 2]
