"""Rows as data scientists take them: lazily, a page at a time, to pandas, Arrow or plain dictionaries.

Nothing is read before it is asked for. What is read page by page stays in memory for that page only; `to_pandas` and
`to_arrow` hold everything, since that is what they are for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from analysis.rendering import cell, table_html
from experiments.workbench.errors import WorkbenchError, missing_library

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    import pyarrow as pa

Kind = Literal["integer", "number", "boolean", "text", "labels"]
Row = Sequence[Any]
Pages = Callable[[int], Iterator[Sequence[Row]]]
"""Given the number of rows of a page, reads page after page, from the first one on."""
PAGE_ROWS = 1_000
SHOWN_ROWS = 10


class Column(NamedTuple):
    """One column."""

    name: str
    kind: Kind
    """`labels` is a mapping of texts: a `dict` in Python and pandas, a `map` in Arrow."""
    meaning: str = ""
    unit: str = ""
    """Empty where there is none."""


class Rows:
    """Rows that are read when they are asked for.

    Args:
        name: What they are, for captions.
        columns: In order.
        pages: Reads them.
        count: Says how many there are.

    >>> from experiments.workbench import example
    >>> pairs = example().experiment("support-int4").pairs("agreement")
    >>> pairs.columns[:4]
    ('pair', 'unit', 'at', 'stage')
    >>> next(iter(pairs))["metric"]
    'agreement'
    """

    def __init__(self, name: str, columns: Sequence[Column], pages: Pages, count: Callable[[], int]) -> None:
        self.name = name
        self.schema = tuple(columns)
        """Every column with its kind, meaning and unit."""
        self._pages, self._count = pages, count
        self._length: int | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(self.columns)}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns' names, in order."""
        return tuple(column.name for column in self.schema)

    def __len__(self) -> int:
        """Return how many rows there are; the store is asked once."""
        if self._length is None:
            self._length = self._count()
        return self._length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every row as a dictionary."""
        for page in self._pages(PAGE_ROWS):
            for row in page:
                yield dict(zip(self.columns, row, strict=True))

    def head(self, n: int = SHOWN_ROWS) -> Table:
        """Return the first rows; no more than these are read.

        Raises:
            WorkbenchError: `n` is below 1.

        >>> from experiments.workbench import example
        >>> len(example().experiment("support-int4").pairs().head(3))
        3
        """
        _check_positive(n, "n")
        return Table(self.name, self.schema, list(itertools.islice(self._rows(n), n)))

    def _rows(self, size: int) -> Iterator[Row]:
        for page in self._pages(size):
            yield from page

    def batches(self, size: int = 10_000) -> Iterator[pa.RecordBatch]:
        """Yield Arrow batches; memory stays that of one.

        Args:
            size: Rows of a batch; the last one may have fewer.

        Raises:
            WorkbenchError: pyarrow is not installed, or `size` is below 1.

        >>> from experiments.workbench import example
        >>> exchanges = example().experiment("support-int4").exchanges()
        >>> sum(batch.num_rows for batch in exchanges.batches(size=100)) == len(exchanges)
        True
        """
        _check_positive(size, "size")
        schema, pa = self._arrow_schema("batches")
        for page in self._pages(size):
            columns = zip(*page, strict=True)
            arrays = [pa.array(_cells(cells, f), type=f.type) for cells, f in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def to_arrow(self) -> pa.Table:
        """Return everything as an Arrow table; meanings and units are in the metadata of its fields.

        Raises:
            WorkbenchError: pyarrow is not installed.

        >>> from experiments.workbench import example
        >>> table = example().experiment("support-int4").pairs("agreement").to_arrow()
        >>> str(table.schema.field("value").type), table.schema.field("at").metadata[b"unit"].decode()
        ('double', 's since 1970-01-01 (UTC)')
        """
        schema, pa = self._arrow_schema("to_arrow")
        return pa.Table.from_batches(self.batches(), schema=schema)

    def to_pandas(self) -> pd.DataFrame:
        """Return everything as a frame; columns of labels hold dictionaries.

        Raises:
            WorkbenchError: pandas or pyarrow is not installed.

        >>> from experiments.workbench import example
        >>> frame = example().experiment("support-int4").pairs("agreement").to_pandas()
        >>> list(frame.columns[:3]), str(frame["value"].dtype)
        (['pair', 'unit', 'at'], 'float64')
        """
        try:
            import pandas  # noqa: F401, ICN001, PLC0415  # large, and needed for nothing else
        except ModuleNotFoundError as error:
            raise missing_library("to_pandas", error.name) from error
        return self.to_arrow().to_pandas(maps_as_pydicts="strict")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the rows to any library that speaks Arrow's C stream interface (DuckDB, Polars, pandas, ...)."""
        schema, pa = self._arrow_schema("an Arrow stream")
        return pa.RecordBatchReader.from_batches(schema, self.batches()).__arrow_c_stream__(requested_schema)

    def _arrow_schema(self, what: str) -> tuple[Any, Any]:
        """Return the Arrow schema, and the library itself."""
        try:
            import pyarrow as pa  # noqa: PLC0415  # large, and needed for nothing else
        except ModuleNotFoundError as error:
            raise missing_library(what, error.name) from error
        kinds = {
            "integer": pa.int64(),
            "number": pa.float64(),
            "boolean": pa.bool_(),
            "text": pa.string(),
            "labels": pa.map_(pa.string(), pa.string()),
        }
        told = [(c, {"description": c.meaning, "unit": c.unit}) for c in self.schema]
        return pa.schema([pa.field(c.name, kinds[c.kind], metadata=notes) for c, notes in told]), pa

    def _repr_html_(self) -> str:
        """Return the first rows as a table, and how many there are."""
        shown = list(itertools.islice(self._rows(SHOWN_ROWS), SHOWN_ROWS))
        return table_html(self.name, self.columns, shown, f"{len(self):,} rows")


class InMemory(Rows):
    """Rows that are in memory already; a notebook shows the first ones, as of all rows.

    Args:
        name: What they are.
        columns: In order.
        rows: Each with a cell a column.
    """

    def __init__(self, name: str, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        super().__init__(name, columns, lambda size: _chunks(rows, size), lambda: len(rows))
        self._all = rows


class Table(InMemory):
    """A few rows; a notebook shows all of them.

    >>> Table("metrics", [Column("metric", "text"), Column("units", "integer")], [("agreement", 40)])
    metrics
    metric     units
    agreement  40
    """

    def __repr__(self) -> str:
        lines = [self.columns, *([cell(value) for value in row] for row in self._all)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        padded = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([self.name, *(line.rstrip() for line in padded)])

    def _repr_html_(self) -> str:
        """Return the table."""
        return table_html(self.name, self.columns, self._all)


def _chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _cells(cells: Sequence[Any], field: Any) -> Sequence[Any]:
    # A map of Arrow's is made from pairs.
    if str(field.type).startswith("map"):
        return [None if cell is None else list(cell.items()) for cell in cells]
    return cells


def _check_positive(value: int, name: str) -> None:
    if value < 1:
        raise WorkbenchError(f"{name} == {value!r}, must be >= 1")
