"""What the tables must look like, and every way in which they do not: each error names table, column and rule. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from experiments.warehouse.records import WarehouseError

Kind = Literal["integer", "number", "text", "json"]
COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "exchanges": {
        "seq": "integer",
        "experiment": "text",
        "epoch": "integer",
        "stage": "integer",
        "unit": "text",
        "propensity": "number",
        "assigned": "text",
        "served": "text",
        "role": "text",
        "fallback": "text",
        "error": "text",
    },
    "outcomes": {
        "seq": "integer",
        "pair": "text",
        "metric": "text",
        "scorer": "text",
        "experiment": "text",
        "epoch": "integer",
        "unit": "text",
        "at": "number",
        "slices": "json",
        "control_value": "number",
        "treatment_value": "number",
        "value": "number",
        "scored_at": "number",
        "failure": "text",
    },
    "feedback": {
        "seq": "integer",
        "exchange": "text",
        "metric": "text",
        "source": "text",
        "value": "number",
        "at": "number",
    },
    "looks": {
        "experiment": "text",
        "epoch": "integer",
        "number": "integer",
        "at": "number",
        "exchange_seq": "integer",
        "outcome_seq": "integer",
        "feedback_seq": "integer",
    },
}
"""Table -> the columns that are read, each with its kind. Others may be there."""
FOR_FEEDBACK: Mapping[str, Kind] = {"id": "text", "at": "number"}
"""Columns of `exchanges` that are read only where there is feedback."""
REQUIRED = ("exchanges", "outcomes")
_NEEDED = {"integer": "an integer", "number": "a number", "text": "text", "json": "JSON, or its text"}
_KINDS: Mapping[Kind, tuple[type[dt.DataType], ...]] = {
    "integer": (dt.Integer,),
    "number": (dt.Floating, dt.Integer, dt.Decimal),
    "text": (dt.String,),
    "json": (dt.String, dt.JSON),
}


def checked(tables: Mapping[str, ir.Table]) -> dict[str, ir.Table]:
    """Return the tables with exactly the columns that are read, and JSON as text.

    Args:
        tables: By the names of `COLUMNS`; `feedback` and `looks` may be missing.

    Raises:
        WarehouseError: A table or a column is missing, or a column has a type that cannot be meant.
    """
    for name in REQUIRED:
        if name not in tables:
            raise WarehouseError(f"{name}: there is no such table; there are: {', '.join(sorted(tables)) or 'none'}")
    found = {}
    for name, table in tables.items():
        columns = dict(COLUMNS[name])
        if name == "exchanges" and "feedback" in tables:
            columns |= FOR_FEEDBACK
        found[name] = table.select(**{column: _column(name, table, column, kind) for column, kind in columns.items()})
    return found


def _column(name: str, table: ir.Table, column: str, kind: Kind) -> ir.Value:
    if column not in table.columns:
        there = ", ".join(table.columns)
        raise WarehouseError(f"{name}.{column}: the column is missing, and must be {_NEEDED[kind]}; there are: {there}")
    found: Any = table[column]
    type_ = table.schema()[column]
    if isinstance(type_, dt.Null) and column == "scored_at":
        # A column without any value has no type of its own in Parquet.
        return ibis.null("float64")
    if not isinstance(type_, _KINDS[kind]):
        raise WarehouseError(f"{name}.{column}: the column is {type_}, and must be {_NEEDED[kind]}")
    if kind == "json" and isinstance(type_, dt.JSON):
        return found.cast("string")
    if kind == "number":
        return found.cast("float64")
    return found.cast("int64") if kind == "integer" else found


def placeholders() -> dict[str, ir.Table]:
    """Return tables without any data, from which SQL is compiled."""
    types = {"integer": "int64", "number": "float64", "text": "string", "json": "string"}
    columns = {name: {c: types[k] for c, k in kinds.items()} for name, kinds in COLUMNS.items()}
    columns["exchanges"] |= {column: types[kind] for column, kind in FOR_FEEDBACK.items()}
    return {name: ibis.table(kinds, name=name) for name, kinds in columns.items()}
