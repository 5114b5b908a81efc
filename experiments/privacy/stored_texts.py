"""The texts of stored exchanges on their way out: which ones nothing needs any more, and what takes their place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from experiments.model import Role
from experiments.statements import batches
from experiments.tables import EXCHANGE, LABEL, OUTCOME, SCORE_TASK

PREFERENCES = ("control", "treatment", "tie")
"""Labels that say which side is better: they quote nothing."""
_WAL_PATIENCE_S = 5.0
_WAL_TRY_MS = 50


class UnerasedTexts(NamedTuple):
    """An exchange's texts, as they are."""

    seq: int
    prompt: str | None
    answer: str | None


class ErasedTexts(NamedTuple):
    """What is to take the place of an exchange's texts."""

    seq: int
    prompt: str | None
    answer: str | None


class StoredTexts:
    """Prompts and answers in the store.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<StoredTexts {self._engine.url.render_as_string(hide_password=True)}>"

    def of_no_use(self, experiment: str, settled_before: float, limit: int, *, beyond: str = "") -> list[UnerasedTexts]:
        """Return texts that no scorer needs any more: of scored pairs, of exchanges without a pair, and of old ones.

        Pairs that wait for a scorer which asks another server keep theirs.

        Args:
            experiment: Its name.
            settled_before: Whatever arrived before waits for nothing; wall-clock seconds since the epoch (UTC).
            limit: About so many; the live sides of scored pairs come on top.
            beyond: Only those whose id, or that of whose pair, ends with this or with what sorts after it.
        """
        columns = EXCHANGE.c
        texts = select(columns.seq, columns.prompt, columns.answer, columns.role, columns.pair)
        useless = or_(
            and_(columns.role != Role.SHADOW, columns.pair == ""),
            and_(columns.role == Role.SHADOW, columns.scored),
            columns.at < settled_before,
        )
        query = texts.where(columns.experiment == experiment, columns.erased_at.is_(None), useless, ~_waits())
        if beyond:
            of_pair = case((columns.pair != "", columns.pair), else_=columns.id)
            query = query.where(func.substr(of_pair, func.length(of_pair) - len(beyond) + 1) >= beyond)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.at).limit(limit)).all()
            found = {row.seq: UnerasedTexts(row.seq, row.prompt, row.answer) for row in rows}
            pairs = [row.pair for row in rows if row.role == Role.SHADOW]
            for some in batches(pairs):
                chosen = columns.id.in_(some)
                lives = connection.execute(texts.where(chosen, columns.erased_at.is_(None)))
                found |= {row.seq: UnerasedTexts(row.seq, row.prompt, row.answer) for row in lives}
        return list(found.values())

    def before(self, experiments: Sequence[str], before: float, limit: int, *, others: bool = False) -> list[int]:
        """Return `seq` of exchanges that arrived before a time and still have their texts, the oldest first.

        Args:
            experiments: Of these experiments; with `others`, of all but these.
            before: Wall-clock time in seconds since the epoch (UTC).
            limit: At most so many.
            others: See `experiments`.
        """
        columns = EXCHANGE.c
        chosen = columns.experiment.not_in(experiments) if others else columns.experiment.in_(experiments)
        query = select(columns.seq).where(chosen, columns.erased_at.is_(None), columns.at < before)
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(columns.at).limit(limit)).scalars())

    def erase(self, erased: Sequence[ErasedTexts], at: float) -> None:
        """Put something else, or nothing, in the place of texts, in one transaction.

        What quotes them goes with them: a judge's reason, a right answer that somebody gave as a label.
        """
        if not erased:
            return
        statement = (
            update(EXCHANGE)
            .where(EXCHANGE.c.seq == bindparam("of"))
            .values(prompt=bindparam("new_prompt"), answer=bindparam("new_answer"), erased_at=at)
        )
        rows = [{"of": row.seq, "new_prompt": row.prompt, "new_answer": row.answer} for row in erased]
        with self._engine.begin() as connection:
            overwrite_deleted(connection)
            connection.execute(statement, rows)
            _erase_quotes(connection, [row.seq for row in erased])


def _erase_quotes(connection: Connection, erased: Sequence[int]) -> None:
    for some in batches(erased):
        of_erased = select(EXCHANGE.c.id).where(EXCHANGE.c.seq.in_(some))
        pairs = connection.execute(of_erased).scalars().all()
        connection.execute(delete(LABEL).where(LABEL.c.pair.in_(pairs), LABEL.c.value.not_in(PREFERENCES)))
        noted = select(OUTCOME.c.seq, OUTCOME.c.detail).where(OUTCOME.c.pair.in_(pairs), OUTCOME.c.detail.is_not(None))
        for row in connection.execute(noted).all():
            if row.detail and "reason" in row.detail:
                left = {key: value for key, value in row.detail.items() if key != "reason"}
                connection.execute(update(OUTCOME).where(OUTCOME.c.seq == row.seq).values(detail=left))


def _waits() -> ColumnElement[bool]:
    """Whether an exchange belongs to a pair that waits in line to be scored."""
    # Two questions rather than one with "or": each finds its rows by the key of the pairs.
    as_live = exists().where(SCORE_TASK.c.pair == EXCHANGE.c.id)
    return or_(as_live, exists().where(SCORE_TASK.c.pair == EXCHANGE.c.pair))


def overwrite_deleted(connection: Connection) -> None:
    """Have SQLite write zeros over what this connection deletes; else it stays in the file until its room is needed.

    Elsewhere nothing: PostgreSQL's old rows go with its next vacuum.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def empty_wal(engine: Engine, patience_s: float = _WAL_PATIENCE_S) -> bool:
    """Empty SQLite's write-ahead log, which holds pages as they were before; returns whether nothing is left in it.

    Args:
        engine: Of a store; for another database than SQLite there is nothing to do.
        patience_s: How long to try: a reader in the middle of its transaction keeps it from being emptied.
    """
    if engine.dialect.name != "sqlite":
        return True
    deadline = time.monotonic() + patience_s
    with engine.connect() as connection:
        usual_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        # Whoever waits here holds up all other writers meanwhile: so it is tried often and never for long.
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_WAL_TRY_MS}")
        try:
            while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_WAL_TRY_MS * 1e-3)
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={usual_ms}")
    return True
