"""Feedback that is a text: the right answer to an exchange's prompt. Journal records in, rows of `label` out.

Whether a metric takes right answers is looked at here once more: of a young exchange, the proxy did not know whose it
is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from experiments.config.records import Config
from experiments.feedback.rules import taken_by
from experiments.model import Feedback
from experiments.pairs.labels import Label, LabelStore
from experiments.store import Store

_log = structlog.get_logger(__name__)


class LateLabels:
    """Stores the right answers among feedback.

    Args:
        config: Which metrics of which experiment take one.
        store: Where the exchanges are, and the labels go.

    Raises:
        ScorerError: A scorer of another package cannot be loaded.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self._labels = LabelStore(store.engine)
        self._taken = {name: taken_by(experiment) for name, experiment in config.experiments.items()}

    def __repr__(self) -> str:
        return f"<LateLabels of {len(self._taken)} experiments>"

    def add(self, records: Iterable[Feedback], arriving: Mapping[str, str]) -> int:
        """Store what is a right answer; the same one twice is stored once.

        To be called before the batch is marked as read: a kill in between has it done again.

        Args:
            records: Feedback of any kind: what is no text is passed over.
            arriving: Exchange id -> experiment, of exchanges that are about to be stored.

        Returns:
            How many were new.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away.
        """
        texts = [(self._exchange(record), record) for record in records if isinstance(record.value, str)]
        if not texts:
            return 0
        experiments = {**self._labels.experiments_of(exchange for exchange, _ in texts), **arriving}
        return self._labels.add(
            [
                label
                for exchange, record in texts
                if (label := self._label(exchange, record, experiments.get(exchange, "")))
            ]
        )

    def _exchange(self, record: Feedback) -> str:
        return record.exchange or self._store.latest_exchange_of(record.experiment, record.unit) or ""

    def _label(self, exchange: str, record: Feedback, experiment: str) -> Label | None:
        taken = self._taken.get(experiment)
        if taken is None or taken.refusal(record.metric, record.value) is not None:
            _log.warning("label_dropped", metric=record.metric, reason="no such exchange, or it takes no right answers")
            return None
        return Label(
            pair=exchange,
            experiment=experiment,
            metric=record.metric,
            value=str(record.value),
            source=record.source,
            at=record.at,
        )
