"""The texts of stored exchanges on their way out: which ones nothing needs any more, and what takes their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, and_, bindparam, or_, select, update

from experiments.model import Role
from experiments.tables import EXCHANGE

_KEYS_A_QUERY = 500


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

    def of_no_use(self, experiment: str, settled_before: float, limit: int) -> list[UnerasedTexts]:
        """Return texts that no scorer needs any more: of scored pairs, of exchanges without a pair, and of old ones.

        Args:
            experiment: Its name.
            settled_before: Whatever arrived before waits for nothing; wall-clock seconds since the epoch (UTC).
            limit: About so many; the live sides of scored pairs come on top.
        """
        columns = EXCHANGE.c
        texts = select(columns.seq, columns.prompt, columns.answer, columns.role, columns.pair)
        useless = or_(
            and_(columns.role != Role.SHADOW, columns.pair == ""),
            and_(columns.role == Role.SHADOW, columns.scored),
            columns.at < settled_before,
        )
        query = texts.where(columns.experiment == experiment, columns.erased_at.is_(None), useless)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.at).limit(limit)).all()
            found = {row.seq: UnerasedTexts(row.seq, row.prompt, row.answer) for row in rows}
            pairs = [row.pair for row in rows if row.role == Role.SHADOW]
            for start in range(0, len(pairs), _KEYS_A_QUERY):
                chosen = columns.id.in_(pairs[start : start + _KEYS_A_QUERY])
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
        """Put something else, or nothing, in the place of texts, in one transaction."""
        if not erased:
            return
        statement = (
            update(EXCHANGE)
            .where(EXCHANGE.c.seq == bindparam("of"))
            .values(prompt=bindparam("new_prompt"), answer=bindparam("new_answer"), erased_at=at)
        )
        rows = [{"of": row.seq, "new_prompt": row.prompt, "new_answer": row.answer} for row in erased]
        with self._engine.begin() as connection:
            connection.execute(statement, rows)
