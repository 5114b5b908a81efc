"""Rows come back from a file as they went in."""

import json
import sys
from pathlib import Path

import pytest

from experiments.exporting.files import MissingLibraryError, opener
from experiments.exporting.schema import ColumnSchema, TableSchema

TYPES = {"seq": "integer", "value": "number", "stream": "boolean", "unit": "text", "slices": "json", "detail": "json"}
TABLE = TableSchema(
    name="made up",
    row="a row",
    key=("seq",),
    columns=tuple(
        ColumnSchema(name=name, type=kind, nullable=name != "seq", unit="ms", meaning=f"what {name} is")
        for name, kind in TYPES.items()
    ),
)
ROWS = [
    {"seq": 2**40, "value": 0.1, "stream": True, "unit": "ü", "slices": {"language": "hi"}, "detail": None},
    {"seq": 2, "value": None, "stream": False, "unit": None, "slices": {}, "detail": {"picked": ["a"]}},
]


def cells(row: dict) -> tuple:
    """A row as the store hands it out: JSON as its text."""
    return tuple(
        json.dumps(value) if TYPES[name] == "json" and value is not None else value for name, value in row.items()
    )


def write(kind, path: Path) -> None:
    file = opener(kind)(path, TABLE, {"touchstone.schema_version": "1"})
    for row in ROWS:
        file.write([cells(row)])
    file.close()


def test_json_lines_have_the_rows_as_they_are(tmp_path: Path) -> None:
    write("jsonl", tmp_path / "rows")

    assert [json.loads(line) for line in (tmp_path / "rows").read_text(encoding="utf-8").splitlines()] == ROWS


def test_parquet_has_typed_columns_and_objects_as_json_texts(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write("parquet", tmp_path / "rows")

    table = pq.read_table(tmp_path / "rows")
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "bool", "string", "string", "string"]
    found = table.to_pylist()
    assert [row["seq"] for row in found] == [2**40, 2]
    assert json.loads(found[0]["slices"]) == {"language": "hi"}
    assert found[0]["detail"] is None
    assert json.loads(found[1]["detail"]) == {"picked": ["a"]}


def test_parquet_says_of_itself_what_its_columns_mean(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write("parquet", tmp_path / "rows")

    schema = pq.read_schema(tmp_path / "rows")
    field = schema.field("seq")
    assert schema.metadata[b"touchstone.schema_version"] == b"1"
    assert (field.metadata[b"description"], field.metadata[b"unit"], field.nullable) == (b"what seq is", b"ms", False)


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(MissingLibraryError, match=r"pip install 'touchstone-router\[export\]'"):
        opener("parquet")
