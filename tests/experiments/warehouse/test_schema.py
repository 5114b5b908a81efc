"""What a table lacks is named: table, column, what is there and what must be."""

from typing import Any

import ibis
import pytest

from experiments.warehouse.records import WarehouseError
from experiments.warehouse.schema import checked, placeholders


def changed(table: str, **columns: str | None) -> dict[str, Any]:
    tables = placeholders()
    types = dict(tables[table].schema().items()) | columns
    tables[table] = ibis.table({name: kind for name, kind in types.items() if kind is not None}, name=table)
    return tables


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            changed("outcomes", value=None),
            r"outcomes.value: the column is missing, and must be a number; there are: seq",
        ),
        (changed("outcomes", value="string"), r"outcomes.value: the column is string, and must be a number$"),
        (changed("exchanges", seq="float64"), r"exchanges.seq: the column is float64, and must be an integer$"),
        (changed("exchanges", unit="int64"), r"exchanges.unit: the column is int64, and must be text$"),
        (changed("exchanges", id=None), r"exchanges.id: the column is missing, and must be text"),
        (
            changed("outcomes", slices="map<string, string>"),
            r"outcomes.slices: the column is map<string, string>, and must be JSON, or its text$",
        ),
        ({"outcomes": placeholders()["outcomes"]}, r"exchanges: there is no such table; there are: outcomes$"),
    ],
)
def test_a_wrong_table_is_named(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(WarehouseError, match=message):
        checked(tables)


def test_other_columns_may_be_there_and_json_is_read_as_text() -> None:
    found = checked(changed("outcomes", detail="string", slices="json", scored_at="null"))

    assert "detail" not in found["outcomes"].columns
    assert str(found["outcomes"].schema()["slices"]) == "string"
    assert str(found["outcomes"].schema()["scored_at"]) == "float64"
