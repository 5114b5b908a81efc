"""Another scorer over stored pairs, in memory: nothing is written, and what the looks saw stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from experiments.config.records import Experiment
from experiments.golden.expectations import Expected
from experiments.golden.sets import GoldenError, GoldenSet, load_golden
from experiments.pairs.labels import LabelStore
from experiments.pairs.stored_pairs import StoredPair, stored_pairs
from experiments.scorers.asking import asks
from experiments.scorers.base import Scorer, ScorerError
from experiments.scorers.catalogue import build_any, factory, keys_of, names, needs_reference
from experiments.scoring.experiment_scorer import in_steps
from experiments.scoring.metric_scorer import UnusableReferenceError, reference_of, scored_metrics
from experiments.scoring.sides import answer_of, by_variant, comparable
from experiments.statements import batches
from experiments.store import Store
from experiments.tables import EXCHANGE, OUTCOME
from experiments.workbench import queries
from experiments.workbench.errors import WorkbenchError, unknown
from experiments.workbench.queries import PAIR_COLUMNS, Chosen
from experiments.workbench.rows import Column, Row, Rows

COLUMNS = (
    *PAIR_COLUMNS,
    Column(
        "stored_value", "number", "The stored value of the metric that was named; null without one.", "of the metric"
    ),
)
ERASED = "erased"
"""Failure of a pair whose texts are there no more."""
_Labels = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True)
class Rescored:
    """A scorer and the pairs that it is to score.

    Args:
        store: Where the pairs are.
        chosen: Which ones.
        scorer: Scores them.
        label: What the column `metric` says.
        golden: The references, if it needs any.
        labels: Returns what people said of pairs, if it needs references.
        called: The scorer's name, to read a label.
    """

    store: Store
    chosen: Chosen
    scorer: Scorer
    label: str
    golden: GoldenSet | None
    labels: _Labels
    called: str

    @classmethod
    def of(cls, store: Store, experiment: Experiment, chosen: Chosen, scorer: str | Scorer) -> Rescored:
        """Make the scorer ready.

        Raises:
            WorkbenchError: There is no such scorer, it cannot be made or asks another server, or its golden set cannot
                be read.
        """
        if experiment.capture == "none":
            raise WorkbenchError(f'{experiment.name} keeps no texts (capture = "none"): there is nothing to score')
        metric = scored_metrics(experiment).get(chosen.metric or "")
        try:
            made = _made(scorer, keys_of(metric) if metric is not None and metric.scorer == scorer else {})
            name = scorer if isinstance(scorer, str) else made.version.partition("/")[0]
            needs = needs_reference(scorer) if isinstance(scorer, str) else bool(getattr(scorer, "needs_reference", 0))
            golden = load_golden(experiment.golden) if needs and experiment.golden is not None else None
        except (ScorerError, GoldenError, OSError) as error:
            raise WorkbenchError(f"{scorer}: {error}") from error

        def labels(pairs: Sequence[str]) -> Mapping[str, str]:
            if not needs or chosen.metric is None:
                return {}
            return {pair: one.value for pair, one in LabelStore(store.engine).latest(pairs, chosen.metric).items()}

        return cls(store, chosen, made, chosen.metric or made.version, golden, labels, name)

    def rows(self, name: str) -> Rows:
        """Return the rows, which are scored as they are read.

        A pair that has no two sides to compare, or to which the scorer does not apply, gives none; so `len` scores all.

        Args:
            name: For captions.
        """
        return Rows(name, COLUMNS, self._pages, lambda: sum(len(page) for page in self._pages(1_000)))

    def _pages(self, size: int) -> Iterator[Sequence[Row]]:
        ids = queries.pages(self.store.engine, queries.mirrored(self.chosen), EXCHANGE.c.seq)
        waiting: list[Row] = []
        for page in ids(size):
            waiting += self._page([row[0] for row in page])
            while len(waiting) >= size:
                yield waiting[:size]
                waiting = waiting[size:]
        if waiting:
            yield waiting

    def _page(self, ids: list[str]) -> Iterator[Row]:
        pairs, stored, labels = stored_pairs(self.store.engine, ids), self._stored(ids), self.labels(ids)
        for key in ids:
            row = self._row(pairs[key], labels.get(key)) if key in pairs else None
            if row is not None:
                yield (*row, stored.get(key))

    def _row(self, pair: StoredPair, label: str | None) -> Row | None:
        if pair.shadow is None or not comparable(pair.live, pair.shadow):
            return None
        found = self._scored(pair, label)
        if found is None:
            return None
        live = pair.live.exchange
        about = (live.id, live.unit, live.at, live.stage, live.slices, self.label, self.scorer.version)
        return (*about, None, None, None, found) if isinstance(found, str) else (*about, *found, "")

    def _scored(self, pair: StoredPair, label: str | None) -> tuple[float, float, float] | str | None:
        """Return both scores and their difference; or why there are none; None where the scorer does not apply."""
        if pair.is_erased or pair.shadow is None:
            return ERASED
        sides = by_variant(pair.live, pair.shadow)
        try:
            expected = self._expected(sides.control.prompt, label)
            score = self.scorer.score(answer_of(sides.control), answer_of(sides.treatment), expected)
        except Exception as error:  # noqa: BLE001  # a scorer of somebody's own may raise anything: the row says so
            return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        if score is None:
            return None
        if not all(0.0 <= value <= 1.0 for value in score):
            return "not a number from 0 to 1"
        control, treatment = in_steps(score)
        return control, treatment, treatment - control

    def _expected(self, prompt: str | None, label: str | None) -> Expected | None:
        known = self.golden.expected(prompt) if self.golden is not None else None
        if known is not None or label is None:
            return known
        try:
            return reference_of(self.called, label)
        except UnusableReferenceError:
            return None

    def _stored(self, ids: Sequence[str]) -> dict[str, float]:
        """Return pair -> the newest stored value of the metric."""
        found: dict[str, float] = {}
        if self.chosen.metric is None:
            return found
        o = OUTCOME.c
        with self.store.engine.connect() as connection:
            for some in batches(ids):
                query = select(o.pair, o.value, o.failure).where(o.pair.in_(some), o.metric == self.chosen.metric)
                for row in connection.execute(query.order_by(o.seq)):
                    found.pop(row.pair, None)
                    if not row.failure:
                        found[row.pair] = row.value
        return found


def _made(scorer: str | Scorer, keys: Mapping[str, Any]) -> Scorer:
    """Return a scorer that scores at once.

    Raises:
        ScorerError: It cannot be made.
        WorkbenchError: There is none of this name, it is none, or asks another server.
    """
    if isinstance(scorer, str):
        if factory(scorer) is None:
            raise unknown("scorer", scorer, names())
        made: Any = build_any(scorer, keys)
    else:
        made = scorer
        if not isinstance(getattr(made, "version", None), str) or not (
            asks(made) or callable(getattr(made, "score", 0))
        ):
            raise WorkbenchError(f"{made!r}: is no scorer: it needs a text `version` and a method `score`")
    if asks(made):
        raise WorkbenchError(f"{made.version} asks another server: `touchstone rescore` puts its pairs in line")
    found: Scorer = made
    return found
