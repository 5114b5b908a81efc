"""The statements behind `Rows`: what an epoch has of exchanges, pairs and feedback, page by page through an index.

A slice is filtered by the database, and so is a metric. Of a pair that was scored anew, the newest version counts, as
on the pages of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column as SqlColumn
from sqlalchemy import ColumnElement, Engine, Select, func, select

from experiments.exporting.columns import EXCHANGE as EXCHANGE_MEANINGS
from experiments.exporting.columns import FEEDBACK as FEEDBACK_MEANINGS
from experiments.exporting.columns import OUTCOME as OUTCOME_MEANINGS
from experiments.exporting.schema import sources
from experiments.model import Role
from experiments.pairs.query import PairQuery, PairQueryError, checked, newest_outcome
from experiments.pairs.reader import own_answer
from experiments.pairs.stored_pairs import StoredPair, stored_pairs
from experiments.scoring.sides import by_variant
from experiments.tables import EXCHANGE, FEEDBACK, OUTCOME
from experiments.workbench.errors import WorkbenchError
from experiments.workbench.rows import Column, Kind, Pages, Row

_KINDS: dict[str, Kind] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "text": "text",
    "json": "labels",  # slices are the only JSON of an exchange
}

_PAIR_KINDS: dict[str, Kind] = {
    "pair": "text",
    "unit": "text",
    "at": "number",
    "stage": "integer",
    "slices": "labels",
    "metric": "text",
    "scorer": "text",
    "control_value": "number",
    "treatment_value": "number",
    "value": "number",
    "failure": "text",
}
_VALUES = ("control_value", "treatment_value", "value")
_TEXTS = (
    Column("prompt", "text", "Text of the prompt; null if erased or never captured."),
    Column("control_answer", "text", "Control's answer; null if there was none, or it is erased."),
    Column("treatment_answer", "text", "The treatment's answer; null if there was none, or it is erased."),
)


class Chosen(NamedTuple):
    """Which rows of an epoch."""

    experiment: str
    epoch: int
    metric: str | None = None
    slice: str = ""
    """`attribute=value`; empty for all traffic."""


PAIR_COLUMNS: tuple[Column, ...] = tuple(
    Column(name, kind, *OUTCOME_MEANINGS[name]) for name, kind in _PAIR_KINDS.items()
)
"""Of `pairs`; where there is a failure, the values are null."""
PAIR_COLUMNS_WITH_TEXTS = (*PAIR_COLUMNS, *_TEXTS)
_EXCHANGES = next(source for source in sources(with_texts=True) if source.table is EXCHANGE)
EXCHANGE_COLUMNS = tuple(
    Column(column.name, _KINDS[column.type], column.meaning, column.unit) for column in _EXCHANGES.schema.columns
)
_FEEDBACK_KINDS: dict[str, Kind] = {
    "exchange": "text",
    "metric": "text",
    "source": "text",
    "value": "number",
    "at": "number",
}
_OF_ITS_EXCHANGE: dict[str, Kind] = {"unit": "text", "stage": "integer", "assigned": "text"}
FEEDBACK_COLUMNS = (
    *(Column(name, kind, *FEEDBACK_MEANINGS[name]) for name, kind in _FEEDBACK_KINDS.items()),
    *(Column(name, kind, *EXCHANGE_MEANINGS[name]) for name, kind in _OF_ITS_EXCHANGE.items()),
)


# --- statements -------------------------------------------------------------------------------------------------------


def exchanges(chosen: Chosen, role: str | None) -> Select[Any]:
    """Return the statement of exchanges; its last column is the key."""
    columns = [_EXCHANGES.columns[column.name] for column in EXCHANGE_COLUMNS]
    found = select(*columns, EXCHANGE.c.seq.label("key")).where(*_of_epoch(EXCHANGE, chosen))
    return found if role is None else found.where(EXCHANGE.c.role == role)


def outcomes(chosen: Chosen) -> Select[Any]:
    """Return the statement of pairs' newest outcomes; its last column is the key."""
    o = OUTCOME.c
    columns = [o[column.name] for column in PAIR_COLUMNS]
    found = select(*columns, o.seq.label("key")).where(*_of_epoch(OUTCOME, chosen), newest_outcome())
    return found if chosen.metric is None else found.where(o.metric == chosen.metric)


def mirrored(chosen: Chosen) -> Select[Any]:
    """Return the statement of mirrored pairs (their ids), whatever was scored of them; its last column is the key."""
    x = EXCHANGE.c
    return select(x.pair, x.seq.label("key")).where(*_of_epoch(EXCHANGE, chosen), x.role == Role.SHADOW)


def feedback(chosen: Chosen) -> Select[Any]:
    """Return the statement of feedback on live exchanges; its last column is the key."""
    f, x = FEEDBACK.c, EXCHANGE.c
    found = (
        select(f.exchange, f.metric, f.source, f.value, f.at, x.unit, x.stage, x.assigned, f.seq.label("key"))
        .join_from(FEEDBACK, EXCHANGE, x.id == f.exchange)
        .where(*_of_epoch(EXCHANGE, chosen), x.role == Role.LIVE)
    )
    return found if chosen.metric is None else found.where(f.metric == chosen.metric)


def _of_epoch(table: Any, chosen: Chosen) -> list[ColumnElement[bool]]:
    found = [table.c.experiment == chosen.experiment, table.c.epoch == chosen.epoch]
    if chosen.slice:
        attribute, value = slice_of(chosen.slice)
        found.append(table.c.slices[attribute].as_string() == value)
    return found


def slice_of(text: str) -> tuple[str, str]:
    """Return attribute and value of a slice.

    Raises:
        WorkbenchError: It is none.

    >>> slice_of("language=hi")
    ('language', 'hi')
    """
    try:
        read = checked(PairQuery("", slice=text))
    except PairQueryError as error:
        raise WorkbenchError(str(error)) from error
    return read.attribute, read.value


# --- reading ----------------------------------------------------------------------------------------------------------


def pages(engine: Engine, statement: Select[Any], key: SqlColumn[Any]) -> Pages:
    """Return what reads a statement page by page, each beginning behind the last row of the one before.

    Args:
        engine: Of the store.
        statement: Its last column is the key, which is cut off.
        key: By which it is ordered; unique.
    """

    def read(size: int) -> Iterator[Sequence[Row]]:
        after: Any = None
        while True:
            found = statement if after is None else statement.where(key > after)
            with engine.connect() as connection:
                rows = connection.execute(found.order_by(key).limit(size)).all()
            if rows:
                after = rows[-1][-1]
                yield [tuple(row[:-1]) for row in rows]
            if len(rows) < size:
                return

    return read


def count(engine: Engine, statement: Select[Any]) -> int:
    """Return how many rows a statement has."""
    with engine.connect() as connection:
        return int(
            connection.execute(statement.with_only_columns(func.count(), maintain_column_froms=True)).scalar_one()
        )


def any_row(engine: Engine, statement: Select[Any]) -> bool:
    """Whether a statement has a row at all."""
    with engine.connect() as connection:
        return connection.execute(statement.limit(1)).first() is not None


def metrics(engine: Engine, chosen: Chosen) -> list[str]:
    """Return the metrics of which an epoch has outcomes; it reads an index through."""
    query = select(OUTCOME.c.metric).distinct().where(*_of_epoch(OUTCOME, chosen))
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def pair_pages(engine: Engine, chosen: Chosen, *, texts: bool) -> Pages:
    """Return what reads pairs: without values where there is no score, and with texts if they are wanted."""
    plain = pages(engine, outcomes(chosen), OUTCOME.c.seq)
    places = [[column.name for column in PAIR_COLUMNS].index(name) for name in _VALUES]

    def read(size: int) -> Iterator[Sequence[Row]]:
        for page in plain(size):
            rows = [_valued(row, places) for row in page]
            yield _with_texts(engine, rows) if texts else rows

    return read


def _valued(row: Row, places: Sequence[int]) -> Row:
    """Take the values out of a row that has a failure: they are 0 in the store, and mean nothing."""
    return row if not row[-1] else [None if place in places else cell for place, cell in enumerate(row)]


def _with_texts(engine: Engine, rows: Sequence[Row]) -> list[Row]:
    found = stored_pairs(engine, (row[0] for row in rows))
    return [(*row, *texts_of(found.get(row[0]))) for row in rows]


def texts_of(pair: StoredPair | None) -> tuple[str | None, str | None, str | None]:
    """Return prompt, control's and the treatment's answer, as the pages of pairs show them."""
    if pair is None or pair.shadow is None:
        return None, None, None
    sides = by_variant(pair.live, pair.shadow)
    prompt = None if pair.live.erased_at is not None else pair.live.prompt
    return prompt, own_answer(sides.control), own_answer(sides.treatment)
