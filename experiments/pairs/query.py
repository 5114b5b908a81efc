"""Which pairs are asked for, and the statements that find them. Pure: nothing here touches a database.

Pages are found by keyset: the next one begins behind the last pair of the one before, whatever was stored meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, literal_column, or_, select, tuple_

from experiments.model import BACKEND_FAULTS, Role
from experiments.tables import EXCHANGE, OUTCOME

MOST_A_PAGE = 500
Order = Literal["worst", "best"]


class PairQueryError(ValueError):
    """A question that cannot be answered: the message says which part of it is wrong."""


class PairQuery(NamedTuple):
    """Which pairs, and in which order."""

    experiment: str
    epoch: int | None = None
    """The newest unless given."""
    metric: str | None = None
    """Without one, the newest pairs come first."""
    slice: str = ""
    """`attribute=value`."""
    order: Order = "worst"
    """By the metric's value: the lowest first, or the highest."""
    disagreeing: bool = False
    """Only pairs whose value is not 0: one side did better. Needs a metric."""
    failed: bool = False
    """With a metric, the pairs that its scorer could not score; without, those of which a side failed."""
    limit: int = 20
    """At most so many pairs, 1 to 500."""
    cursor: str | None = None
    """`next_cursor` of the page before, to the same question."""


class Found(NamedTuple):
    """A pair, and where it stands in the order."""

    pair: str
    value: float
    seq: int


class Conditions(NamedTuple):
    """The parts of a question that had to be read."""

    attribute: str
    """Of the slice; empty for all traffic."""
    value: str
    after: Found | None
    """The last one of the page before."""


def checked(query: PairQuery) -> Conditions:
    """Return the read parts of a question.

    Raises:
        PairQueryError: The question has a part that means nothing.
    """
    if not 1 <= query.limit <= MOST_A_PAGE:
        raise PairQueryError(f"limit is {query.limit}, must be from 1 to {MOST_A_PAGE}")
    if query.epoch is not None and not 0 < query.epoch < 2**31:
        raise PairQueryError(f"epoch is {query.epoch}, and epochs are counted from 1")
    if query.order not in {"worst", "best"}:
        raise PairQueryError(f'order is "{query.order}", must be "worst" or "best"')
    if query.disagreeing and query.metric is None:
        raise PairQueryError("disagreeing needs a metric: in what do they disagree?")
    if query.disagreeing and query.failed:
        raise PairQueryError("disagreeing and failed exclude each other: what failed has no value")
    for name, text in (("metric", query.metric or ""), ("slice", query.slice)):
        if not _is_storable(text):
            raise PairQueryError(f"{name} has a sign that no stored text has")
    attribute, equals, value = query.slice.partition("=")
    # A quotation mark would end the name inside the database's path into JSON.
    if query.slice and (not attribute or not equals or set(attribute) & set('"\\')):
        raise PairQueryError(f'slice is "{query.slice}", must be "attribute=value"')
    return Conditions(attribute, value, _read_cursor(query))


def _is_storable(text: str) -> bool:
    """Whether a database takes a text: PostgreSQL refuses NUL, and both refuse half a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def _read_cursor(query: PairQuery) -> Found | None:
    if query.cursor is None:
        return None
    value, _, seq = query.cursor.rpartition("_")
    by_value = query.metric is not None and not query.failed
    try:
        found = Found("", float(value) if by_value else 0.0, int(seq))
    except ValueError:
        found = Found("", float("nan"), 0)
    if math.isnan(found.value) or not 0 < found.seq < 2**63 or bool(value) is not by_value:
        raise PairQueryError("cursor is none that was given out for this question")
    return found


def cursor_after(query: PairQuery, last: Found) -> str:
    """Return the cursor of the page behind a pair."""
    return f"{last.value!r}_{last.seq}" if query.metric is not None and not query.failed else str(last.seq)


def page_statements(query: PairQuery, epoch: int, conditions: Conditions) -> Iterator[Select[Any]]:
    """Yield the statements whose rows (pair, value, seq), one statement after the other, are the page in order."""
    if query.metric is None:
        yield _newest(query, epoch, conditions)
    elif query.failed:
        o = OUTCOME.c
        chosen = _of_metric(query, epoch, conditions).where(literal_column("failure <> ''"))
        if conditions.after is not None:
            chosen = chosen.where(o.seq < conditions.after.seq)
        yield chosen.order_by(o.seq.desc())
    else:
        yield from _by_value(query, epoch, conditions)


def _of_metric(query: PairQuery, epoch: int, conditions: Conditions) -> Select[Any]:
    o = OUTCOME.c
    chosen = select(o.pair, o.value, o.seq).where(
        o.experiment == query.experiment, o.epoch == epoch, o.metric == query.metric, newest_outcome()
    )
    if conditions.attribute:
        chosen = chosen.where(o.slices[conditions.attribute].as_string() == conditions.value)
    return chosen


def newest_outcome() -> ColumnElement[bool]:
    """Return the condition that an outcome is its pair's newest of its metric: a rescored pair has several."""
    o, newer = OUTCOME.c, OUTCOME.alias("newer")
    later = select(newer.c.seq).where(newer.c.pair == o.pair, newer.c.metric == o.metric, newer.c.seq > o.seq)
    return ~later.exists()


def _by_value(query: PairQuery, epoch: int, conditions: Conditions) -> Iterator[Select[Any]]:
    o, after = OUTCOME.c, conditions.after
    upwards = query.order == "worst"
    scored = _of_metric(query, epoch, conditions).where(o.failure == "")
    # Two ranges of the index: the pairs in between, which are most of them, are not read.
    ranges: list[ColumnElement[bool] | None] = [o.value < 0, o.value > 0] if query.disagreeing else [None]
    if not upwards:
        ranges.reverse()
    if after is not None and query.disagreeing and (after.value > 0) is upwards:
        ranges = ranges[1:]
    for chosen in ranges:
        statement = scored if chosen is None else scored.where(chosen)
        if after is not None:
            here, there = tuple_(o.value, o.seq), tuple_(after.value, after.seq)
            statement = statement.where(here > there if upwards else here < there)
        yield statement.order_by(*((o.value, o.seq) if upwards else (o.value.desc(), o.seq.desc())))


def _newest(query: PairQuery, epoch: int, conditions: Conditions) -> Select[Any]:
    shadow, live = EXCHANGE.alias("s"), EXCHANGE.alias("l")
    statement = (
        select(live.c.id, literal_column("0.0"), shadow.c.seq)
        .join_from(shadow, live, live.c.id == shadow.c.pair)
        .where(shadow.c.experiment == query.experiment, shadow.c.epoch == epoch, shadow.c.role == Role.SHADOW)
    )
    if conditions.after is not None:
        statement = statement.where(shadow.c.seq < conditions.after.seq)
    if conditions.attribute:
        statement = statement.where(live.c.slices[conditions.attribute].as_string() == conditions.value)
    if query.failed:
        ends = (live.c.error, live.c.fallback, shadow.c.error)
        statement = statement.where(or_(*(end.in_(sorted(BACKEND_FAULTS)) for end in ends)))
    return statement.order_by(shadow.c.seq.desc())
