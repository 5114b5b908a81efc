"""The statistics' state of every experiment between two looks: in memory, and now and then in the store."""

from __future__ import annotations

from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from experiments.config.records import Experiment
from experiments.evaluation.checkpoints import EVERY_LOOKS, CheckpointStore
from experiments.evaluation.evaluator import Evaluator
from experiments.looks import each_look
from experiments.privacy.forgetting import mend_outcomes, newest_forgetting
from experiments.replay import Rows, refold, rows_between
from experiments.store import Store, Watermarks

_log = structlog.get_logger(__name__)


class Folded(NamedTuple):
    """A state, and how far it has read."""

    evaluator: Evaluator
    seen: Watermarks


class Evaluators:
    """The states of a controller's experiments.

    Args:
        store: Where the looks are, and the rows that they have read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checkpoints = CheckpointStore(store.engine)
        self._kept: dict[str, Folded] = {}
        self._forgotten = 0
        """Of the newest unit that was forgotten when the states were taken up: they know it by a key that is gone."""

    def __repr__(self) -> str:
        return f"<Evaluators of {len(self._kept)} experiments>"

    def begin(self) -> None:
        """Forget what is in memory: another controller may have gone on meanwhile."""
        self._kept.clear()
        self._forgotten = newest_forgetting(self._store.engine)

    def take_up(self, experiment: Experiment, epoch: int) -> None:
        """Bring an epoch's state to where its last look was: from its checkpoint, or from the start."""
        self._kept[experiment.name] = self._folded(experiment, epoch)

    def take(self, experiment: Experiment, epoch: int) -> Folded:
        """Take a state out for a look: should that fail half-way, the next one starts from what is stored."""
        newest = newest_forgetting(self._store.engine)
        if newest != self._forgotten:
            self._kept.clear()
            self._forgotten = newest
        if experiment.name not in self._kept:
            self.take_up(experiment, epoch)
        return self._kept.pop(experiment.name)

    def rows(self, folded: Folded, upto: Watermarks) -> Rows | None:
        """Return what is new for a state; None if somebody was forgotten while it was read: to be read anew."""
        if self._forgotten:
            mend_outcomes(self._store.engine, folded.seen.outcome)
        rows = rows_between(self._store, folded.evaluator, folded.seen, upto)
        return rows if newest_forgetting(self._store.engine) == self._forgotten else None

    def keep(self, folded: Folded) -> None:
        """Keep a state after its look is stored."""
        evaluator = folded.evaluator
        self._kept[evaluator.experiment.name] = folded
        if evaluator.looks % EVERY_LOOKS == 0:
            try:
                self._checkpoints.save(evaluator, self._forgotten)
            except SQLAlchemyError as error:  # a shortcut less, the next time
                _log.warning("checkpoint_not_kept", reason=type(error).__name__)

    def _folded(self, experiment: Experiment, epoch: int) -> Folded:
        evaluator = self._checkpoints.load(experiment.name, epoch, self._forgotten)
        if evaluator is not None and evaluator.looks and evaluator.experiment == experiment:
            looks = each_look(self._store.engine, experiment.name, epoch, after=evaluator.looks - 1)
            last = next(looks, None)
            if last is not None and last.number == evaluator.looks:
                seen = Watermarks(last.exchange_seq, last.outcome_seq, last.feedback_seq)
                return Folded(evaluator, refold(self._store, evaluator, seen))
        evaluator = Evaluator(experiment, epoch)
        return Folded(evaluator, refold(self._store, evaluator))
