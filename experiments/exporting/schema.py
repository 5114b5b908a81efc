"""The versioned schema of an export: every table and column, said once and used by files, command and documentation.

Names, types and whether a column may be null come from the store's tables, what they mean from `columns`. Whoever
changes what is exported raises `SCHEMA_VERSION`: a test holds the schema of the present version to its fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import JSON, Boolean, Column, Float, Integer, Table

from experiments.exporting import columns as meanings
from experiments.exporting.columns import Meaning
from experiments.exporting.manifest import FORMAT_VERSION, SCHEMA_VERSION
from experiments.tables import EXCHANGE, FEEDBACK, LOOK, OUTCOME, TRANSITION

TEXTS = frozenset({"prompt", "answer"})
LEFT_OUT = frozenset({"state", "scored"})
"""The state of the statistics is large and follows from the rows; what is scored has outcomes."""


class ColumnSchema(msgspec.Struct, frozen=True, kw_only=True):
    """One column."""

    name: str
    type: str
    """`integer`, `number`, `boolean`, `text` or `json`."""
    nullable: bool
    unit: str
    """Empty where there is none."""
    meaning: str


class TableSchema(msgspec.Struct, frozen=True, kw_only=True):
    """One table, in the order of its columns."""

    name: str
    row: str
    """What a row is."""
    key: tuple[str, ...]
    """What tells rows apart."""
    columns: tuple[ColumnSchema, ...]


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """All of an export."""

    format_version: int = FORMAT_VERSION
    """Of folders, part files and manifest."""
    schema_version: int = SCHEMA_VERSION
    """Of tables and columns."""
    tables: tuple[TableSchema, ...]

    @property
    def fingerprint(self) -> str:
        """Return what changes when a table's or a column's name, type or nullability does; descriptions may improve."""
        facts = [(t.name, t.key, [(c.name, c.type, c.nullable) for c in t.columns]) for t in self.tables]
        return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]


class Source(NamedTuple):
    """A table of the export, and where its rows are."""

    schema: TableSchema
    table: Table
    columns: Mapping[str, Column[Any]]
    """Name in the file -> column."""


class _Kind(NamedTuple):
    table: Table
    meanings: Mapping[str, Meaning]
    row: str
    key: tuple[str, ...]


_KINDS = {
    "exchanges": _Kind(
        EXCHANGE,
        meanings.EXCHANGE,
        "one request and answer of one variant: a live one, or its mirrored copy (`role`)",
        ("id",),
    ),
    "outcomes": _Kind(
        OUTCOME,
        meanings.OUTCOME,
        "the value of one metric for one pair, by one version of its scorer",
        ("pair", "metric", "scorer"),
    ),
    "feedback": _Kind(FEEDBACK, meanings.FEEDBACK, "what was reported of an answer", ("seq",)),
    "looks": _Kind(LOOK, meanings.LOOK, "one look of the controller", ("epoch", "number")),
    "transitions": _Kind(TRANSITION, meanings.TRANSITION, "one change of phase or stage: who, when, why", ("seq",)),
}


def sources(*, with_texts: bool) -> tuple[Source, ...]:
    """Return every table of an export with its columns.

    Args:
        with_texts: With prompts and answers.

    Raises:
        KeyError: A column of the store has no description in `columns`.
    """
    hidden = LEFT_OUT if with_texts else LEFT_OUT | TEXTS
    return tuple(_source(name, kind, hidden) for name, kind in _KINDS.items())


def schema(*, with_texts: bool = True) -> Schema:
    """Return the schema of an export."""
    return Schema(tables=tuple(source.schema for source in sources(with_texts=with_texts)))


def markdown(table: TableSchema) -> str:
    """Return the columns of a table as the table that docs/export.md has."""
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        kind = f"{column.type}, may be null" if column.nullable else column.type
        lines.append(f"| `{column.name}` | {kind} | {column.unit} | {column.meaning} |")
    return "\n".join(lines)


def _source(name: str, kind: _Kind, hidden: frozenset[str]) -> Source:
    columns: dict[str, Column[Any]] = {column.name: column for column in kind.table.c if column.name not in hidden}
    if kind.table is FEEDBACK:
        # Whose it is stands in the exchange that it is about; without it, figures of two epochs would be pooled.
        columns["epoch"] = EXCHANGE.c.epoch
    described = tuple(_described(label, column, kind.meanings[label]) for label, column in columns.items())
    return Source(TableSchema(name=name, row=kind.row, key=kind.key, columns=described), kind.table, columns)


def _described(name: str, column: Column[Any], meaning: Meaning) -> ColumnSchema:
    kinds = ((JSON, "json"), (Boolean, "boolean"), (Integer, "integer"), (Float, "number"))
    type_ = next((word for kind, word in kinds if isinstance(column.type, kind)), "text")
    nullable = bool(column.nullable)
    return ColumnSchema(name=name, type=type_, nullable=nullable, unit=meaning.unit, meaning=meaning.text)
