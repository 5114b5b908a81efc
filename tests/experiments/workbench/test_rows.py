"""Rows come lazily, page by page, and are the same in every form."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.workbench import Column, Rows, Table, WorkbenchError, example

COLUMNS = (Column("n", "integer", "Its number.", "count"), Column("slices", "labels"), Column("value", "number"))


class Source:
    """Rows that note how many were read."""

    def __init__(self, number: int) -> None:
        self.number, self.read = number, 0

    def pages(self, size: int) -> Iterator[Sequence[Any]]:
        for start in range(0, self.number, size):
            page = [(n, {"language": "hi"}, n / 2 if n % 3 else None) for n in range(start, self.number)[:size]]
            self.read += len(page)
            yield page

    def rows(self) -> Rows:
        return Rows("rows", COLUMNS, self.pages, lambda: self.number)


@given(number=st.integers(0, 40), size=st.integers(1, 50))
def test_batches_of_any_size_are_the_rows(number: int, size: int) -> None:
    rows = Source(number).rows()

    batches = list(rows.batches(size))

    assert [row for batch in batches for row in batch.to_pylist(maps_as_pydicts="strict")] == list(rows)
    assert [batch.num_rows for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert rows.to_arrow().num_rows == len(rows) == number


def test_nothing_is_read_before_it_is_asked_for_and_no_more_than_that() -> None:
    source = Source(1_000_000)
    rows = source.rows()
    assert (repr(rows), source.read) == ("<Rows rows: n, slices, value>", 0)

    assert len(rows.head(3)) == 3
    assert source.read == 3

    html = rows._repr_html_()
    assert (source.read, html.count("<tr>")) == (13, 11)
    assert "<p>1,000,000 rows</p>" in html

    next(rows.batches(100))
    assert source.read == 113


def test_missing_numbers_are_nan_in_pandas_and_null_in_arrow_and_labels_are_dictionaries() -> None:
    rows = Source(4).rows()

    frame, table = rows.to_pandas(), rows.to_arrow()

    assert frame["value"].isna().tolist() == [True, False, False, True]
    assert table["value"].null_count == 2
    assert frame["slices"].tolist() == [{"language": "hi"}] * 4
    assert table.schema.field("n").metadata == {b"description": b"Its number.", b"unit": b"count"}


def test_duckdb_reads_rows_as_they_come() -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb, of the extra warehouse")
    pairs = example().experiment("support-int4").pairs("agreement")

    with duckdb.connect() as connection:
        found = connection.execute("SELECT slices['language'], avg(value) FROM pairs GROUP BY 1 ORDER BY 1").fetchall()
        streamed = connection.execute("SELECT count(*) FROM pairs").fetchone()  # by Arrow's stream interface

    assert streamed == (len(pairs),)
    values = {language: [r["value"] for r in pairs if r["slices"]["language"] == language] for language in ("en", "hi")}
    assert found == [(language, pytest.approx(sum(v) / len(v))) for language, v in values.items()]


def test_html_is_escaped_and_a_table_shows_all_its_rows() -> None:
    table = Table("<b>", [Column("<i>", "text")], [("<script>alert(1)</script>",)] * 15)

    html = table._repr_html_()

    assert "<script" not in html
    assert "<b>" not in html
    assert html.count("&lt;script&gt;") == 15


@pytest.mark.parametrize("call", [lambda rows: rows.head(0), lambda rows: list(rows.batches(0))])
def test_no_rows_are_asked_for_by_mistake(call) -> None:
    with pytest.raises(WorkbenchError, match="== 0, must be >= 1"):
        call(Source(1).rows())
