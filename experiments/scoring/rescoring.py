"""Scoring history anew: pairs whose outcome was made by another version of a scorer get one of the present version.

Rows are only added: a look that counted the former ones replays as it was. The ledger begins a metric anew at the first
outcome of another version, so the new rows are what is counted from then on.

A changed label changes the reference and not the scorer. So that its pairs can have a second row, and so that old and
new references are never mixed in one figure, `labels=True` gives *all* pairs of the metric a version of its own:
`exact/1 labels/17`, where 17 is the newest label that it knows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import func, select

from experiments.config.records import Config
from experiments.pairs.labels import LabelStore
from experiments.pairs.stored_pairs import StoredPair, stored_pairs
from experiments.scoring.metric_scorer import MetricScorer, scored_metrics
from experiments.scoring.score_tasks import task_values
from experiments.scoring.scorer_versions import version_in_use, with_labels
from experiments.statements import batches
from experiments.store import Outcome, Store
from experiments.tables import OUTCOME

_WINDOW = 1_000
"""Outcomes that are looked at in one step: bounds the memory, and the time for which the store is written to."""


class RescoringError(ValueError):
    """What is not to be rescored; the message says why."""


class Target(NamedTuple):
    """A metric and the version that its outcomes are to have."""

    scorer: MetricScorer
    version: str


class Rescored(msgspec.Struct, frozen=True, kw_only=True):
    """How far a rescoring is."""

    read: int = 0
    """Outcomes looked at, of `total`."""
    total: int = 0
    rescored: int = 0
    """New outcomes."""
    asked: int = 0
    """Outcomes that another server is to give: they wait in line."""
    erased: int = 0
    """Outcomes that stay as they were, since a text of their pair is there no more."""
    not_applicable: int = 0
    """Outcomes whose metric does not apply to their pair any more."""


class _Due(NamedTuple):
    pair: str
    metric: str


class Rescoring:
    """The rescoring of one epoch of one experiment.

    Args:
        config: As the controller has it now.
        store: Migrated.
        experiment: Its name.
        metric: One of its metrics with a scorer; all of them unless given.
        labels: Let changed labels count.
        epoch: The newest unless given.

    Raises:
        RescoringError: There is nothing that could be rescored.
        experiments.golden.sets.GoldenError: The golden set cannot be read.
        experiments.scorers.base.ScorerError: A scorer cannot be made.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        experiment: str,
        metric: str | None = None,
        *,
        labels: bool = False,
        epoch: int | None = None,
    ) -> None:
        newest = store.latest_epoch(experiment)
        if newest is None:
            raise RescoringError(f"{experiment} has not begun: there are no pairs")
        if epoch is not None and not 0 < epoch <= newest.number:
            raise RescoringError(f"{experiment} has no epoch {epoch}; there are 1 to {newest.number}")
        self._store = store
        self._labels = LabelStore(store.engine)
        self._experiment = experiment
        self._epoch = newest.number if epoch is None else epoch
        names = _chosen(config, experiment, metric)
        self.targets = {name: self._target(config, name, labels=labels) for name in names}
        if labels:
            self.targets = {n: target for n, target in self.targets.items() if target.version != target.scorer.version}
            if not self.targets:
                raise RescoringError(f"{experiment} has no labels of a metric that compares with a right answer")

    def __repr__(self) -> str:
        return f"<Rescoring of {self._experiment}, epoch {self._epoch}: {', '.join(self.targets)}>"

    def _target(self, config: Config, metric: str, *, labels: bool) -> Target:
        scorer = MetricScorer(config, self._experiment, metric)
        if labels and scorer.takes_reference and (newest := self._labels.newest(self._experiment, metric)):
            return Target(scorer, with_labels(scorer.version, newest))
        in_use = version_in_use(self._store.engine, self._experiment, self._epoch, metric, scorer.version)
        return Target(scorer, in_use)

    def run(self) -> Iterator[Rescored]:
        """Do it, and say after each step how far it is. Stopped and begun again, it goes on with what is left."""
        o = OUTCOME.c
        chosen = (o.experiment == self._experiment) & (o.epoch == self._epoch)
        with self._store.engine.connect() as connection:
            query = select(func.count(), func.coalesce(func.max(o.seq), 0)).where(chosen)
            total, last = connection.execute(query).one()
        state, after = Rescored(total=total), 0
        while after < last:
            columns = select(o.seq, o.pair, o.metric, o.scorer).where(chosen, o.seq > after, o.seq <= last)
            with self._store.engine.connect() as connection:
                rows = connection.execute(columns.order_by(o.seq).limit(_WINDOW)).all()
            if not rows:
                break
            after = rows[-1].seq
            due = {
                _Due(row.pair, row.metric): None
                for row in rows
                if row.metric in self.targets and row.scorer != self.targets[row.metric].version
            }
            state = self._step(self._without_new(list(due)), replace(state, read=state.read + len(rows)))
            yield state

    def _without_new(self, due: Sequence[_Due]) -> list[_Due]:
        """Leave out what has its new outcome already."""
        o, done = OUTCOME.c, set()
        pairs = sorted({item.pair for item in due})
        with self._store.engine.connect() as connection:
            for some in batches(pairs):
                query = select(o.pair, o.metric, o.scorer).where(o.pair.in_(some))
                for row in connection.execute(query):
                    target = self.targets.get(row.metric)
                    if target is not None and row.scorer == target.version:
                        done.add(_Due(row.pair, row.metric))
        return [item for item in due if item not in done]

    def _step(self, due: Sequence[_Due], state: Rescored) -> Rescored:
        pairs = stored_pairs(self._store.engine, (item.pair for item in due))
        whole = [item for item in due if item.pair in pairs and pairs[item.pair].shadow is not None]
        there = [item for item in whole if not pairs[item.pair].is_erased]
        asked = [item for item in there if self.targets[item.metric].scorer.asks]
        local = [item for item in there if not self.targets[item.metric].scorer.asks]
        outcomes = self._outcomes(local, pairs)
        self._store.save_outcomes(outcomes, [])
        self._ask(asked)
        return replace(
            state,
            rescored=state.rescored + len(outcomes),
            asked=state.asked + len(asked),
            erased=state.erased + len(whole) - len(there),
            not_applicable=state.not_applicable + len(local) - len(outcomes),
        )

    def _outcomes(self, due: Sequence[_Due], pairs: Mapping[str, StoredPair]) -> list[Outcome]:
        found: list[Outcome] = []
        for metric in dict.fromkeys(item.metric for item in due):
            target, mine = self.targets[metric], [item.pair for item in due if item.metric == metric]
            labels = self._labels.latest(mine, metric) if target.scorer.takes_reference else {}
            for key in mine:
                pair, label = pairs[key], labels.get(key)
                assert pair.shadow is not None  # noqa: S101  # only whole pairs are due
                made = target.scorer.outcome(pair.live, pair.shadow, label.value if label else None)
                if made is not None:
                    found.append(replace(made, scorer=target.version))
        return found

    def _ask(self, due: Sequence[_Due]) -> None:
        """Put pairs in line for scorers that ask another server; one that waits there keeps its place."""
        now = time.time()
        tasks = [task_values(item.pair, self._experiment, self._epoch, item.metric, now) for item in due]
        self._store.save_outcomes([], [], tasks)


def _chosen(config: Config, experiment: str, metric: str | None) -> list[str]:
    configured = config.experiments[experiment]
    if configured.capture == "none":
        raise RescoringError(f'{experiment} keeps no texts (capture = "none"): there is nothing to score anew')
    names = list(scored_metrics(configured))
    chosen = names if metric is None else [name for name in names if name == metric]
    if not chosen:
        known = ", ".join(names) or "none"
        raise RescoringError(f"{experiment} has no such metric with a scorer; there are: {known}")
    return chosen
