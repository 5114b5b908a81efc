"""Pairs that wait for a scorer which asks another server, and what such scorers have spent.

A pair is put in line in the transaction that marks it as scored, and taken out in the one that stores its outcome. So
a process may be killed at any moment: the next one finds either the task or its outcome, never both, never neither.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, delete, func, select, tuple_, update

from experiments.scoring.outcome_rows import lock_outcomes, outcome_values
from experiments.statements import insert_new, upserting
from experiments.stored import Outcome
from experiments.tables import OUTCOME, SCORE_SPEND, SCORE_TASK

Metric = tuple[str, str]
"""Experiment and metric."""


class ScoreTask(msgspec.Struct, frozen=True, kw_only=True):
    """One pair that waits for one metric."""

    seq: int
    pair: str
    """Id of the live exchange."""
    experiment: str
    epoch: int
    metric: str
    due_at: float
    """Not before this time, in seconds since the epoch (UTC)."""
    attempts: int
    """So many were made."""
    trouble: str
    """Why the last one failed."""


class Spend(NamedTuple):
    """What was used."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Spend) -> Spend:
        """Return the sum."""
        return Spend(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def task_values(pair: str, experiment: str, epoch: int, metric: str, due_at: float) -> dict[str, Any]:
    """Return the row of a new task, for `Store.save_outcomes`."""
    common = {"pair": pair, "experiment": experiment, "epoch": epoch, "metric": metric}
    return common | {"due_at": due_at, "attempts": 0, "trouble": ""}


def day_of(at: float) -> str:
    """Return the day (UTC) of a time in seconds since the epoch.

    >>> day_of(86_399.0), day_of(86_400.0)
    ('1970-01-01', '1970-01-02')
    """
    # Not `fromtimestamp`: times outside of the platform's range would raise.
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).date().isoformat()


class TaskStore:
    """The tables `score_task` and `score_spend`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<TaskStore {self._engine.url.render_as_string(hide_password=True)}>"

    def waiting(self) -> int:
        """Return how many pairs wait, each metric counted."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(SCORE_TASK)).scalar_one())

    def waiting_for(self, experiment: str, metric: str) -> int:
        """Return how many pairs wait for one metric."""
        chosen = (SCORE_TASK.c.experiment == experiment) & (SCORE_TASK.c.metric == metric)
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(SCORE_TASK).where(chosen)).scalar_one())

    def due(
        self, now: float, limit: int, *, not_these: Collection[int] = (), not_of: Collection[Metric] = ()
    ) -> list[ScoreTask]:
        """Return tasks that are due, those that have waited longest first.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
            limit: At most so many.
            not_these: `seq` of tasks that are being worked on.
            not_of: Metrics that are not to be asked now.
        """
        columns = SCORE_TASK.c
        query = select(SCORE_TASK).where(columns.due_at <= now, columns.seq.not_in(not_these))
        if not_of:
            query = query.where(tuple_(columns.experiment, columns.metric).not_in(not_of))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.due_at, columns.seq).limit(limit)).mappings().all()
        return [ScoreTask(**row) for row in rows]

    def finish(self, task: ScoreTask, outcome: Outcome | None, spend: Spend, at: float) -> bool:
        """Store an outcome, book what it took, and take the task out of the line, in one transaction.

        Args:
            task: Of this store.
            outcome: None if the metric does not apply to the pair.
            spend: Of the last attempt.
            at: Wall-clock time in seconds since the epoch (UTC).

        Returns:
            Whether the task was still there; if somebody else has finished it, no outcome is stored.
        """
        with self._engine.begin() as connection:
            if outcome is not None:
                lock_outcomes(connection)
            gone = connection.execute(delete(SCORE_TASK).where(*_is(task))).rowcount == 1
            if gone and outcome is not None:
                insert_new(connection, OUTCOME, [outcome_values(outcome)])
            self._book(connection, task, spend, at)
        return gone

    def postpone(self, task: ScoreTask, spend: Spend, at: float) -> None:
        """Store when a task is due next and how often it was tried, and book what that took, in one transaction."""
        new = {"due_at": task.due_at, "attempts": task.attempts, "trouble": task.trouble}
        with self._engine.begin() as connection:
            connection.execute(update(SCORE_TASK).where(*_is(task)).values(new))
            self._book(connection, task, spend, at)

    def spent(self, day: str) -> dict[Metric, Spend]:
        """Return metric -> what it has used on a day (`2026-03-01`, UTC)."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(SCORE_SPEND).where(SCORE_SPEND.c.day == day)).mappings().all()
        return {
            (row["experiment"], row["metric"]): Spend(row["calls"], row["input_tokens"], row["output_tokens"])
            for row in rows
        }

    def _book(self, connection: Connection, task: ScoreTask, spend: Spend, at: float) -> None:
        if not any(spend):
            return
        key = {"experiment": task.experiment, "metric": task.metric, "day": day_of(at)}
        insert = upserting(self._engine, SCORE_SPEND)
        sums = {name: SCORE_SPEND.c[name] + insert.excluded[name] for name in Spend._fields}
        connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=sums), [key | spend._asdict()])


def _is(task: ScoreTask) -> tuple[Any, ...]:
    # The pair as well: on SQLite the number of a task that is gone may be given to another one.
    return SCORE_TASK.c.seq == task.seq, SCORE_TASK.c.pair == task.pair, SCORE_TASK.c.metric == task.metric
