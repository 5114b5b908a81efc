"""Figures for Prometheus that no process counts: they are read from the store, at each scrape."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from sqlalchemy import func, literal_column, select
from sqlalchemy.exc import SQLAlchemyError

from experiments.journal.recorders import Recorders
from experiments.store import Store
from experiments.tables import OUTCOME, SCORE_TASK
from router.telemetry.metrics import Family
from router.telemetry.metrics_files import Series

_log = structlog.get_logger(__name__)
DAMAGED = Family(
    "touchstone_journal_damaged_records_total", "counter", "Records of the journal that could not be read."
)
WAITING = Family("touchstone_scores_waiting", "gauge", "Scores that wait for another server.")
FAILED = Family("touchstone_scores_failed_total", "counter", "Scores that were given up.")
UNLOADED = Family(
    "touchstone_recorder_waiting_bytes", "gauge", "Journal of a host that is not in the store yet.", ("host",)
)
SILENT = Family(
    "touchstone_recorder_silent_seconds", "gauge", "Since whoever loads a host's journal was last heard.", ("host",)
)
STORE_FAMILIES = (DAMAGED, WAITING, FAILED, UNLOADED, SILENT)


class StoreFigures:
    """Reads what the recorder and the scorers leave in the store.

    Args:
        store: Migrated by the first scrape; while it cannot be read there are no figures.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble = False

    def __repr__(self) -> str:
        return f"<StoreFigures of {self._store!r}>"

    def read(self, also: Callable[[], Series] = dict) -> Series:
        """Return all figures by name and labels; none while the store cannot be read: the proxies' are shown alone.

        Args:
            also: Reads further figures from the store; may raise as it does.
        """
        try:
            found = self._read() | also()
        except SQLAlchemyError as error:
            if not self._trouble:
                _log.warning("store_figures_unreadable", reason=type(error).__name__)
            self._trouble = True
            return {}
        self._trouble = False
        return found

    def _read(self) -> Series:
        waiting = select(func.count()).select_from(SCORE_TASK)
        # As a literal: a bound value would hide from SQLite that its partial index serves.
        failed = select(func.count()).select_from(OUTCOME).where(literal_column("failure <> ''"))
        with self._store.engine.connect() as connection:
            found = {
                WAITING.name: connection.execute(waiting).scalar_one(),
                FAILED.name: connection.execute(failed).scalar_one(),
            }
        found[DAMAGED.name] = self._store.damaged_records()
        none: tuple[str, ...] = ()
        return {name: {none: [float(value)]} for name, value in found.items()} | self._of_recorders()

    def _of_recorders(self) -> Series:
        """Return the figures of hosts whose journal is being loaded, or ought to be; the worst folder of each."""
        waiting: dict[tuple[str, ...], list[float]] = {}
        silent: dict[tuple[str, ...], list[float]] = {}
        now = time.time()
        for recorded in Recorders(self._store.engine).all():
            report = recorded.report
            if report.ended:
                continue
            labels = (report.host,)
            waiting[labels] = [max(float(report.waiting_bytes), *waiting.get(labels, [0.0]))]
            silent[labels] = [max(now - recorded.at, *silent.get(labels, [0.0]))]
        return {UNLOADED.name: waiting, SILENT.name: silent} if waiting else {}
