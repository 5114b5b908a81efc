"""Applies `keep_exchanges_days`, and makes the partitions of the days to come. Between the controller's looks."""

from __future__ import annotations

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from experiments.retention.days import coming, day_of, width_for
from experiments.retention.dropping import drop_partition, drop_rows
from experiments.retention.partitions import add, is_partitioned, partitions

_log = structlog.get_logger(__name__)
AHEAD_DAYS = 7
"""Should no controller run for so long, what it loads afterwards still finds its partitions."""
_BATCH = 1_000
_CHECK_S = 600.0
_RETRY_S = 30.0
_SECONDS_PER_DAY = 86_400


class Keeper:
    """Keeps exchanges for as long as the configuration says. For the controller that leads.

    Args:
        engine: Of a store that is migrated by the time that `keep` is called.
        keep_days: Exchanges of epochs that are over are dropped after so many days; never, if None.
    """

    def __init__(self, engine: Engine, keep_days: float | None) -> None:
        self._engine = engine
        self._keep_days = keep_days
        self._due = float("-inf")

    def __repr__(self) -> str:
        return f"<Keeper [{'all' if self._keep_days is None else f'{self._keep_days:g} days'}]>"

    def keep(self, now: float) -> int:
        """Do what is due; returns how many exchanges were dropped.

        Args:
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        if now < self._due:
            return 0
        dropped = 0
        try:
            if is_partitioned(self._engine):
                self._make_partitions(now)
            if self._keep_days is not None:
                dropped = self._drop(now, self._keep_days)
        except OperationalError as error:
            # Mostly a long read of somebody else that holds what is to be changed: it is over at some time.
            _log.warning("retention_waits", reason=str(error.orig).partition("\n")[0])
            self._due = now + _RETRY_S
            return 0
        # As long as there is more than a batch, each tick takes one.
        self._due = now if dropped >= _BATCH else now + _CHECK_S
        return dropped

    def _make_partitions(self, now: float) -> None:
        with self._engine.connect() as connection:
            known = partitions(connection)
        until = max((partition.ends_at for partition in known), default=day_of(now))
        made = add(self._engine, coming(until, now, width_for(self._keep_days), AHEAD_DAYS))
        if made:
            _log.info("partitions_made", partitions=made)

    def _drop(self, now: float, keep_days: float) -> int:
        before = now - keep_days * _SECONDS_PER_DAY
        if is_partitioned(self._engine):
            before = self._drop_partitions(before, now, keep_days)
        exchanges = drop_rows(self._engine, before, _BATCH, now, keep_days)
        if exchanges:
            _log.info("exchanges_dropped", exchanges=exchanges)
        return exchanges

    def _drop_partitions(self, before: float, now: float, keep_days: float) -> float:
        """Drop what can go at once; returns before when what is left has to go row by row.

        A partition that is not all over time stays whole: its rows would be deleted one by one, to be dropped later.
        """
        with self._engine.connect() as connection:
            known = partitions(connection)
        old = [partition for partition in known if partition.ends_at <= before]
        for partition in old:
            exchanges = drop_partition(self._engine, partition, now, keep_days)
            if exchanges is not None:
                _log.info("partition_dropped", partition=partition.name, exchanges=exchanges)
        return old[-1].ends_at if old else known[0].starts_at if known else 0.0
