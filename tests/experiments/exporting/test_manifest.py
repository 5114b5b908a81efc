"""A folder says what it contains, and refuses to be mixed with something else."""

import json
from pathlib import Path

import pytest

from experiments.exporting.manifest import ExportError, Manifest, Part, TableParts, continued, write_manifest
from experiments.stored import Epoch


def manifest(**changes) -> Manifest:
    values = {"store_revision": "0006", "experiment": "support", "kind": "jsonl", "texts": False}
    return Manifest(**(values | changes))


def test_a_folder_without_one_begins_afresh(tmp_path: Path) -> None:
    fresh = manifest()

    assert continued(tmp_path / "none", fresh) is fresh


def test_what_was_written_is_taken_up(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(tables={"looks": TableParts(columns={"seq": "integer"}, last_seq=9)}))

    assert continued(tmp_path, manifest()).tables["looks"].last_seq == 9
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("field", "value"), [("experiment", "other"), ("kind", "parquet"), ("texts", True), ("schema_version", 9)]
)
def test_an_export_of_something_else_is_refused(tmp_path: Path, field: str, value: object) -> None:
    write_manifest(tmp_path, manifest())

    with pytest.raises(ExportError, match=f"an export whose {field} is .*: choose another folder"):
        continued(tmp_path, manifest(**{field: value}))


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")

    with pytest.raises(ExportError, match="cannot be read"):
        continued(tmp_path, manifest())


def test_one_of_the_first_format_is_refused_by_its_number(tmp_path: Path) -> None:
    part = {"file": "looks-00001.jsonl", "rows": 1, "first_seq": 1, "last_seq": 1}
    old = {"format_version": 1, "store_revision": "0006", "tables": {"looks": {"columns": {}, "parts": [part]}}}
    (tmp_path / "manifest.json").write_text(json.dumps(old))

    with pytest.raises(ExportError, match="an export of format 1, and this version reads and writes format 2: choose"):
        continued(tmp_path, manifest())


def test_a_store_that_was_migrated_or_has_a_new_epoch_is_the_same_store(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest(epochs=[epoch(1)]))

    again = continued(tmp_path, manifest(store_revision="0007", epochs=[epoch(1), epoch(2)]))

    assert (again.store_revision, [known.number for known in again.epochs]) == ("0007", [1, 2])


@pytest.mark.parametrize("now", [[], ["other"]])
def test_a_store_whose_epochs_are_others_is_refused(tmp_path: Path, now: list[str]) -> None:
    write_manifest(tmp_path, manifest(epochs=[epoch(1)]))

    with pytest.raises(ExportError, match="an epoch 1 that the store has not: it is an export of another store"):
        continued(tmp_path, manifest(epochs=[epoch(1, config_hash) for config_hash in now]))


def epoch(number: int, config_hash: str = "same") -> Epoch:
    return Epoch(experiment="support", number=number, config_hash=config_hash, config={}, started_at=5.0)


def test_parts_beyond_the_watermark_are_known_to_be_written() -> None:
    table = TableParts(columns={}, last_seq=3)
    table.add([Part(file="a", epoch=1, day="2026-11-25", rows=4, first_seq=4, last_seq=9)])

    assert (table.written_upto(1), table.written_upto(2), table.written_upto(None), table.rows) == (9, 3, 9, 4)
