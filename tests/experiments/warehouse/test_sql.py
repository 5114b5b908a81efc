"""The same expressions compile for every engine: ClickHouse and BigQuery are compiled only, never run."""

import pytest
from tests_rows import experiment

from experiments.warehouse.records import WarehouseError
from experiments.warehouse.sql import statements
from experiments.warehouse.steps import SeenLook

LOOKS = (SeenLook(1, 10.0, 5, 5, 5), SeenLook(2, 20.0, 9, 9, 9))


@pytest.mark.parametrize(("dialect", "quote"), [("clickhouse", '"'), ("bigquery", "`")])
def test_every_statement_compiles(dialect: str, quote: str) -> None:
    found = statements(experiment(boosted=True), 1, dialect, LOOKS)

    assert set(found) >= {
        "places",
        "pair_sums",
        "analysed",
        "differences",
        "moments",
        "bad_votes",
        "unit_sums_in_slices",
    }
    for name, text in found.items():
        assert any(f"{quote}{table}{quote}" in text for table in ("exchanges", "outcomes", "feedback")), name
    assert "OVER (" in found["differences"]
    assert "OVER (" not in found["places"]


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(WarehouseError, match="--engine 'oracle' is unknown; there are: duckdb, postgres, spark"):
        statements(experiment(), 1, "oracle")
