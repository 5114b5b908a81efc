"""Late labels -> outcomes: a right answer that arrives after its pair was served makes the pair scorable.

A pair that has an outcome of the metric keeps it: a look has counted it. A label that was changed counts after
`touchstone rescore --labels`.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from experiments.config.records import Config
from experiments.pairs.labels import LabelStore, NewLabel
from experiments.pairs.stored_pairs import StoredPair, stored_pairs
from experiments.scoring.metric_scorer import MetricScorer, scored_metrics, takes_reference
from experiments.scoring.scorer_versions import under_versions_in_use
from experiments.store import Outcome, Store

_log = structlog.get_logger(__name__)
_BATCH = 500
_MOST_WAITING = 10_000
_Key = tuple[str, str, str]
"""Pair, experiment, metric."""


class LabelScoring:
    """Scores pairs whose label came late, a batch a call.

    Args:
        config: Which metrics compare with a right answer.
        store: Migrated by the time that `score` is called.

    Raises:
        experiments.golden.sets.GoldenError: A golden set cannot be read.
        experiments.scorers.base.ScorerError: A scorer cannot be made.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self._labels = LabelStore(store.engine)
        self._scorers = {
            (name, metric): MetricScorer(config, name, metric)
            for name, experiment in config.experiments.items()
            for metric, found in scored_metrics(experiment).items()
            if takes_reference(found) and experiment.capture != "none"  # there are no answers to compare
        }
        self._read = 0
        self._waiting: dict[_Key, None] = {}
        """Labels whose pair is not whole yet: another proxy's journal may be loaded later."""

    def __repr__(self) -> str:
        return f"<LabelScoring of {len(self._scorers)} metrics, {len(self._waiting)} labels waiting>"

    def score(self) -> int:
        """Score what can be scored now; returns how many outcomes were stored."""
        if not self._scorers:
            return 0
        due, last = [*self._waiting][:_BATCH], self._labels.last()
        if not due and last <= self._read:
            return 0
        new = self._labels.without_outcome(self._read, _BATCH)
        try:
            outcomes = self._outcomes(dict.fromkeys([*due, *map(_key, new)]))
            self._store.save_outcomes(outcomes, [])
        except BaseException:
            self._waiting |= dict.fromkeys(due)  # nothing is stored: they wait on
            raise
        # A full batch may have more behind it; else all labels up to the last one are done with.
        self._read = new[-1].seq if len(new) == _BATCH else last
        return len(outcomes)

    def _outcomes(self, due: Iterable[_Key]) -> list[Outcome]:
        known = [key for key in due if key[1:] in self._scorers]
        pairs = stored_pairs(self._store.engine, (pair for pair, _, _ in known))
        whole = [key for key in known if self._is_whole(key, pairs.get(key[0]))]
        there = [key for key in whole if not pairs[key[0]].is_erased]
        if len(there) < len(whole):
            _log.warning("labels_too_late", pairs=len(whole) - len(there), reason="the texts are erased")
        made: list[Outcome] = []
        for chosen in dict.fromkeys(key[1:] for key in there):
            made += self._of_metric(self._scorers[chosen], [pairs[key[0]] for key in there if key[1:] == chosen])
        return made

    def _of_metric(self, scorer: MetricScorer, pairs: list[StoredPair]) -> list[Outcome]:
        labels = self._labels.latest((pair.live.exchange.id for pair in pairs), scorer.metric)
        made = []
        for live, shadow in pairs:
            assert shadow is not None  # noqa: S101  # they are whole
            outcome = scorer.outcome(live, shadow, labels[live.exchange.id].value)
            if outcome is not None:
                made.append(outcome)
        return under_versions_in_use(self._store.engine, made)

    def _is_whole(self, key: _Key, pair: StoredPair | None) -> bool:
        """Whether both sides are stored; a label of a pair that can still become whole waits."""
        whole = pair is not None and pair.shadow is not None
        comes = pair is None or pair.live.exchange.pair != ""
        self._waiting.pop(key, None)
        if not whole and comes:
            self._waiting[key] = None
            while len(self._waiting) > _MOST_WAITING:
                del self._waiting[next(iter(self._waiting))]
        return whole


def _key(label: NewLabel) -> _Key:
    return label.pair, label.experiment, label.metric
