"""Files of an export: rows in, JSON lines or Parquet out, a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from experiments.exporting.schema import TableSchema

Kind = Literal["jsonl", "parquet"]
Row = Sequence[Any]
"""The cells of a row in the order of the columns; those of type `json` as their texts."""
_ROW_GROUP_ROWS = 100_000
_ROW_GROUP_BYTES = 16 << 20
"""A row group is written at the first of the two: large enough to be read fast, small enough to be held in memory."""


class MissingLibraryError(Exception):
    """A library that this form needs is not installed; says which, and how to get it."""


class RowFile(Protocol):
    """A file that grows by chunks of rows."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows that have exactly the columns that were announced."""

    def close(self) -> None:
        """Complete the file."""


Opener = Callable[[Path, "TableSchema", Mapping[str, str]], RowFile]
"""Opens a file, given its path, its table, and what it is to say of itself (where its form has a place for that)."""


def opener(kind: Kind) -> Opener:
    """Return what opens a file of a kind.

    Raises:
        MissingLibraryError: The kind needs a library that is not there.
    """
    if kind == "jsonl":
        return _JsonLines
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415  # large, and needed for nothing else
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"Parquet needs the module {error.name}: pip install 'touchstone-router[export]'"
        ) from error
    return _Parquet


class _JsonLines:
    """One JSON object a line, in UTF-8."""

    def __init__(self, path: Path, table: TableSchema, _notes: Mapping[str, str]) -> None:
        self._names = [column.name for column in table.columns]
        self._json = [column.name for column in table.columns if column.type == "json"]
        self._encode = msgspec.json.Encoder().encode
        self._file = path.open("wb")

    def write(self, rows: Sequence[Row]) -> None:
        self._file.write(b"".join(self._line(row) for row in rows))

    def _line(self, row: Row) -> bytes:
        record = dict(zip(self._names, row, strict=True))
        for name in self._json:
            if record[name] is not None:
                record[name] = msgspec.Raw(record[name])
        return self._encode(record) + b"\n"

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Parquet, column by column, with each column's meaning in the metadata of its field."""

    def __init__(self, path: Path, table: TableSchema, notes: Mapping[str, str]) -> None:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        types = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
        fields = [
            pa.field(
                column.name,
                types.get(column.type, pa.string()),
                column.nullable,
                {"description": column.meaning, "unit": column.unit, "type": column.type},
            )
            for column in table.columns
        ]
        self._pa, self._schema = pa, pa.schema(fields, dict(notes))
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._rows = self._bytes = 0

    def write(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        columns = zip(*rows, strict=True)
        arrays = [self._pa.array(cells, type=field.type) for cells, field in zip(columns, self._schema, strict=True)]
        batch = self._pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._batches.append(batch)
        self._rows, self._bytes = self._rows + len(rows), self._bytes + batch.nbytes
        if self._rows >= _ROW_GROUP_ROWS or self._bytes >= _ROW_GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._batches:
            self._writer.write_table(self._pa.Table.from_batches(self._batches, self._schema), self._rows)
        self._batches, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        try:
            self._write_group()
        finally:
            self._writer.close()
