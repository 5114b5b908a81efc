"""One observation a unit, as the statistics used it: the ledger itself is folded once more, and says what it took.

It takes the looks one after the other, since a unit is closed at a look; without any look nothing was used yet.
"""

from __future__ import annotations

from typing import NamedTuple

from experiments.config.records import Experiment
from experiments.evaluation.counts import Exposure, Key
from experiments.evaluation.evaluator import Evaluator
from experiments.evaluation.lanes import OpenUnit
from experiments.evaluation.ledger import Ledger
from experiments.looks import each_look
from experiments.model import Phase
from experiments.replay import rows_between
from experiments.store import Store
from experiments.stored import Watermarks
from experiments.workbench.rows import Column

COLUMNS = (
    Column("unit", "text", "Keyed hash of what was randomised; never the user's own id."),
    Column("stage", "integer", "Stage of the ramp at the unit's first request.", "count from 0"),
    Column("assigned", "text", "Variant that the unit was assigned to: `control` or `treatment`."),
    Column("n_pairs", "integer", "Pairs of which the value is the mean.", "count"),
    Column("value", "number", "Mean over the unit's pairs: a difference, or a log ratio.", "of the metric"),
)


class Observation(NamedTuple):
    """What one unit said of a metric in a slice."""

    unit: str
    stage: int
    assigned: str
    n_pairs: int
    value: float


class _Observing(Ledger):
    """A ledger that notes the observations of one metric in one slice.

    Args:
        experiment: As its epoch has it.
        key: Which ones.
    """

    def __init__(self, experiment: Experiment, key: Key) -> None:
        super().__init__(experiment)
        self.taken: list[Observation] = []
        self._key = key

    def _begin_anew(self, metric: str) -> None:
        super()._begin_anew(metric)
        if metric == self._key.metric:
            self.taken.clear()

    def _observe(self, unit: OpenUnit) -> None:
        super()._observe(unit)
        if self._key in unit.sums:
            total, count = unit.sums[self._key]
            place: Exposure = unit.exposure
            self.taken.append(Observation(unit.name, place.stage, place.assigned, int(count), total / count))


def observations(store: Store, experiment: Experiment, epoch: int, metric: str, slice_: str = "") -> list[Observation]:
    """Return the observations of the newest look, in the order in which they were taken.

    Args:
        store: Where the rows are.
        experiment: As the epoch has it.
        epoch: Its number.
        metric: One that is measured on pairs.
        slice_: `attribute=value`; empty for all traffic.
    """
    reader = Evaluator(experiment, epoch)
    ledger, seen = _Observing(experiment, Key(metric, slice_)), Watermarks(0, 0, 0)
    for look in each_look(store.engine, experiment.name, epoch):
        upto = Watermarks(look.exchange_seq, look.outcome_seq, look.feedback_seq)
        exchanges, outcomes, feedback = rows_between(store, reader, seen, upto)
        ledger.begin_look(look.at, promoted=look.evidence.phase is Phase.PROMOTED, rules=look.evidence.rules)
        ledger.add_exchanges(exchanges)
        ledger.add_outcomes(outcomes)
        ledger.add_feedback(feedback)
        ledger.close_units(look.at)
        seen = upto
    return ledger.taken
