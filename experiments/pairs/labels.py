"""Labels in the store: what a person, or a late truth, says of a pair. The newest counts; none is ever changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, func, insert, select

from experiments.model import Role
from experiments.rows import storable
from experiments.statements import batches
from experiments.tables import EXCHANGE, LABEL, OUTCOME


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one pair."""

    pair: str
    """Id of the live exchange."""
    experiment: str
    metric: str
    value: str
    """The right answer, for a metric that compares with one; else `control`, `treatment` or `tie`: who is better."""
    source: str = "person"
    """Who says so."""
    at: float
    """Wall-clock time in seconds since the epoch (UTC)."""


class NewLabel(NamedTuple):
    """A label that may be to score, and its place in the table."""

    seq: int
    pair: str
    experiment: str
    metric: str


class LabelStore:
    """The table `label`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<LabelStore {self._engine.url.render_as_string(hide_password=True)}>"

    def add(self, labels: Sequence[Label]) -> int:
        """Store labels in one transaction; one that its source has said already, and not changed since, is not new.

        Returns:
            How many were new.
        """
        with self._engine.begin() as connection:
            _lock(connection)
            said = _said(connection, sorted({label.pair for label in labels}))
            new = []
            for label in labels:
                row = storable(msgspec.structs.asdict(label))
                key = (row["pair"], row["metric"], row["source"])
                if said.get(key) != row["value"]:
                    said[key] = row["value"]
                    new.append(row)
            if new:
                connection.execute(insert(LABEL), new)
        return len(new)

    def latest(self, pairs: Iterable[str], metric: str) -> dict[str, Label]:
        """Return pair -> its newest label of a metric, whoever gave it; pairs without one are left out."""
        keys, found = sorted(set(pairs)), dict[str, Label]()
        query = select(LABEL).where(LABEL.c.metric == metric).order_by(LABEL.c.seq)
        with self._engine.connect() as connection:
            for some in batches(keys):
                chosen = query.where(LABEL.c.pair.in_(some))
                for row in connection.execute(chosen).mappings():
                    found[row["pair"]] = Label(**{name: row[name] for name in Label.__struct_fields__})
        return found

    def experiments_of(self, pairs: Iterable[str]) -> dict[str, str]:
        """Return pair -> the experiment that its live exchange belongs to; unknown ones are left out."""
        keys, found = sorted(set(pairs)), dict[str, str]()
        query = select(EXCHANGE.c.id, EXCHANGE.c.experiment).where(EXCHANGE.c.role == Role.LIVE)
        with self._engine.connect() as connection:
            for some in batches(keys):
                rows = connection.execute(query.where(EXCHANGE.c.id.in_(some)))
                found |= {row.id: row.experiment for row in rows}
        return found

    def without_outcome(self, after: int, limit: int) -> list[NewLabel]:
        """Return labels with `seq > after` whose pair has no outcome of their metric, in order."""
        label, outcome = LABEL.c, OUTCOME.c
        scored = select(outcome.seq).where(outcome.pair == label.pair, outcome.metric == label.metric).exists()
        query = select(label.seq, label.pair, label.experiment, label.metric).where(label.seq > after, ~scored)
        with self._engine.connect() as connection:
            return [NewLabel(*row) for row in connection.execute(query.order_by(label.seq).limit(limit))]

    def last(self) -> int:
        """Return `seq` of the newest label of all; 0 if there is none."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(LABEL.c.seq), 0))).scalar_one())

    def newest(self, experiment: str, metric: str) -> int:
        """Return `seq` of the newest label of a metric; 0 if there is none."""
        chosen = (LABEL.c.experiment == experiment) & (LABEL.c.metric == metric)
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(LABEL.c.seq), 0)).where(chosen)).scalar_one())


def _lock(connection: Connection) -> None:
    """Keep others from adding labels until this transaction ends, so that they are committed in the order of `seq`.

    Whoever reads on from the last one that he has seen would pass over a lower one that is committed later. SQLite has
    one writer in any case.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE label IN SHARE ROW EXCLUSIVE MODE")


def _said(connection: Connection, pairs: list[str]) -> dict[tuple[str, str, str], str]:
    """Return (pair, metric, source) -> the newest value."""
    columns, found = LABEL.c, dict[tuple[str, str, str], str]()
    query = select(columns.pair, columns.metric, columns.source, columns.value).order_by(columns.seq)
    for some in batches(pairs):
        for row in connection.execute(query.where(columns.pair.in_(some))):
            found[row.pair, row.metric, row.source] = row.value
    return found
