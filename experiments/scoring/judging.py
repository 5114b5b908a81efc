"""How a judge does: what it was asked, who wins, whether it judges positions, and whether people agree with it.

Intervals are Wilson's, for one look at pairs as if they were independent; users who ask often make them too narrow.
They judge the judge: what an experiment decides by has evidence of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from sqlalchemy import select
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from experiments.model import CONTROL, TREATMENT
from experiments.pairs.labels import LabelStore
from experiments.scoring.score_tasks import Spend, TaskStore, day_of
from experiments.store import Store
from experiments.tables import OUTCOME

TIE = "tie"
SIDES = (CONTROL, TREATMENT, TIE)
"""What a judge, or a person, may say of a pair; also what a label of it is called."""
_LEVEL = 0.95


class Share(msgspec.Struct, frozen=True):
    """A share with its 95 % interval (Wilson); without one where there is nothing to count."""

    count: int
    of: int
    share: float | None
    lower: float | None
    upper: float | None


class Agreement(msgspec.Struct, frozen=True):
    """How often the judge says what people say."""

    labelled: int
    """Judged pairs with a label of this metric."""
    same: Share
    kappa: float | None
    """Cohen's: 0 is chance, 1 is always. None where it is not defined: nobody differs from anybody, or no labels."""


class Judging(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one judge, in one epoch, by its newest version."""

    experiment: str
    epoch: int
    metric: str
    version: str
    """Of the scorer; empty if nothing was judged yet."""
    outcomes: int
    judged: int
    """By the model; without failures, and without pairs whose answers told by themselves."""
    unasked: dict[str, int]
    """Why a pair needed no judge -> how many."""
    failures: dict[str, int]
    waiting: int
    wins: dict[str, Share]
    """control, treatment, tie -> share of the judged pairs."""
    first_preferred: Share
    """Of the verdicts that were no ties: those for the answer shown first. A judge of answers has a half here."""
    inconsistent: Share
    """Of the pairs that were asked in both orders: those with two different verdicts."""
    agreement: Agreement
    spent_today: dict[str, int]


class _Judged(msgspec.Struct):
    """An outcome's row, as far as it matters here."""

    pair: str
    value: float
    failure: str
    detail: dict[str, object]

    @property
    def winner(self) -> str:
        """Who won."""
        return TIE if self.value == 0 else TREATMENT if self.value > 0 else CONTROL


def judging(store: Store, experiment: str, metric: str, now: float) -> Judging:
    """Return how a metric's judge does.

    Args:
        store: Migrated.
        experiment: Its name; of its newest epoch.
        metric: Of the scorer `judge`.
        now: Wall-clock time in seconds since the epoch (UTC); its day is the one whose spend is told.
    """
    newest = store.latest_epoch(experiment)
    epoch = newest.number if newest is not None else 0
    version, rows = _rows(store, experiment, epoch, metric)
    whole = [row for row in rows if not row.failure]
    asked = [row for row in whole if row.detail.get("asked", True)]
    line = TaskStore(store.engine)
    picked = [row.detail.get("picked") for row in asked]
    both = [row for row in asked if row.detail.get("swapped")]
    spent = line.spent(day_of(now)).get((experiment, metric), Spend())
    return Judging(
        experiment=experiment,
        epoch=epoch,
        metric=metric,
        version=version,
        outcomes=len(rows),
        judged=len(asked),
        unasked=dict(Counter(str(row.detail.get("why")) for row in whole if not row.detail.get("asked", True))),
        failures=dict(Counter(row.failure for row in rows if row.failure).most_common()),
        waiting=line.waiting_for(experiment, metric),
        wins={side: share(sum(row.winner == side for row in asked), len(asked)) for side in SIDES},
        first_preferred=share(picked.count("A"), picked.count("A") + picked.count("B")),
        inconsistent=share(sum(not row.detail.get("consistent") for row in both), len(both)),
        agreement=_agreement(store, metric, asked),
        spent_today=spent._asdict(),
    )


def share(count: int, of: int) -> Share:
    """Return a share with its interval.

    >>> found = share(8, 10)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.49, 0.943)
    """
    if of == 0:
        return Share(count, of, None, None, None)
    lower, upper = proportion_confint(count, of, alpha=1 - _LEVEL, method="wilson")
    return Share(count, of, count / of, float(lower), float(upper))


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Return how often two raters say the same.

    Args:
        pairs: What each said, of `SIDES`.

    >>> agreement([("tie", "tie"), ("control", "treatment")]).kappa
    0.3333333333333333
    """
    same = share(sum(one == other for one, other in pairs), len(pairs))
    counts = np.zeros((len(SIDES), len(SIDES)))
    for one, other in pairs:
        counts[SIDES.index(one), SIDES.index(other)] += 1
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum())
    # Where both always say one and the same thing, chance explains everything, and kappa is 0 / 0.
    defined = len(pairs) > 0 and chance < len(pairs) ** 2
    kappa = float(cohens_kappa(counts, return_results=False)) if defined else None
    return Agreement(len(pairs), same, kappa)


def _agreement(store: Store, metric: str, judged: Sequence[_Judged]) -> Agreement:
    labels = LabelStore(store.engine).latest([row.pair for row in judged], metric)
    said = [(row.winner, labels[row.pair].value) for row in judged if row.pair in labels]
    return agreement([(judge, person) for judge, person in said if person in SIDES])


def _rows(store: Store, experiment: str, epoch: int, metric: str) -> tuple[str, list[_Judged]]:
    """Return the newest version of the metric's scorer, and its outcomes."""
    o = OUTCOME.c
    of_metric = (o.experiment == experiment) & (o.epoch == epoch) & (o.metric == metric)
    with store.engine.connect() as connection:
        newest = select(o.scorer).where(of_metric).order_by(o.seq.desc()).limit(1)
        version = connection.execute(newest).scalar_one_or_none() or ""
        query = select(o.pair, o.value, o.failure, o.detail).where(of_metric, o.scorer == version).order_by(o.seq)
        return version, [
            _Judged(row.pair, row.value, row.failure, row.detail or {}) for row in connection.execute(query)
        ]
