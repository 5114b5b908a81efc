"""Outcomes -> the quality of each day (UTC): per metric, slice and variant, in the table `daily_quality`.

A day is that of the user's request, whenever its pair was scored. The database counts: what leaves it is one row for
each metric, combination of slices and pair of labels, read in batches, so a million outcomes cost little memory. A day
may be computed any number of times; the last time stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Engine, Row, Select, Text, case, cast, delete, func, select

from experiments.model import CONTROL, TREATMENT
from experiments.scoring.macro_f1 import LabelCounts
from experiments.statements import upserting
from experiments.tables import DAILY_QUALITY, OUTCOME

ALL = ""
"""The slice of all traffic."""
MAX_SLICE_VALUES = 16
"""Values of a slice attribute that are followed one by one, in order of appearance; further ones count as `other`."""
_KEY = ("experiment", "epoch", "day", "metric", "slice", "variant")
_JUDGE = "judge/"
_BATCH = 1_000
_DAY_S = 86_400.0


class DailyQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric was on one day, of one variant in one slice."""

    experiment: str
    epoch: int
    day: str
    """`2026-03-01`, UTC."""
    metric: str
    slice: str
    """`attribute=value`; empty for all traffic."""
    variant: str
    """`control` or `treatment`."""
    pairs: int
    """Pairs that have a score; those that a scorer failed on are not among them."""
    mean: float | None
    """Of the pairs' scores (the accuracy, where a score is 0 or 1), or of an operational metric in its unit."""
    macro_f1: float | None
    """Of labels; None for other metrics."""
    win_rate: float | None
    """Share of the pairs in which a judge preferred this variant; ties are nobody's. None for other metrics."""


class DailyStore:
    """The table `daily_quality`, and how it follows from `outcome`.

    Args:
        engine: Of a migrated store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<DailyStore {self._engine.url.render_as_string(hide_password=True)}>"

    def compute(self, experiment: str, day: str) -> list[DailyQuality]:
        """Compute a day from its outcomes, store it in place of what was there, and return it.

        A day without outcomes is left as it is: they may have been deleted since it was computed.

        Args:
            experiment: Its name.
            day: `2026-03-01`, UTC.
        """
        folds: dict[tuple[int, str, str], _Fold] = {}
        with self._engine.connect() as connection:
            result = connection.execution_options(yield_per=_BATCH).execute(_grouped(experiment, day))
            for row in result:
                folds.setdefault((row.epoch, row.metric, row.scorer), _Fold()).add(row)
        found = [
            row
            for (epoch, metric, scorer), fold in _in_use(folds)
            for row in fold.rows(experiment, epoch, day, metric, judged=scorer.startswith(_JUDGE))
        ]
        self._put(experiment, day, found)
        return found

    def read(self, day: str, experiment: str | None = None) -> list[DailyQuality]:
        """Return a day as it was computed last, in the order experiment, epoch, metric, slice, variant.

        Args:
            day: `2026-03-01`, UTC.
            experiment: One of them; all unless given.
        """
        query = select(DAILY_QUALITY).where(DAILY_QUALITY.c.day == day)
        if experiment is not None:
            query = query.where(DAILY_QUALITY.c.experiment == experiment)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(*(DAILY_QUALITY.c[name] for name in _KEY))).mappings().all()
        return [DailyQuality(**row) for row in rows]

    def newest_day(self, experiment: str) -> str | None:
        """Return the last day of an experiment that was computed; None if there is none."""
        query = select(func.max(DAILY_QUALITY.c.day)).where(DAILY_QUALITY.c.experiment == experiment)
        with self._engine.connect() as connection:
            newest: str | None = connection.execute(query).scalar_one()
        return newest

    def _put(self, experiment: str, day: str, rows: Sequence[DailyQuality]) -> None:
        if not rows:
            return
        columns = DAILY_QUALITY.c
        statement = upserting(self._engine, DAILY_QUALITY)
        figures = {c.name: statement.excluded[c.name] for c in columns if c.name not in _KEY}
        with self._engine.begin() as connection:
            # Slices and metrics that are no more would stay otherwise.
            connection.execute(delete(DAILY_QUALITY).where(columns.experiment == experiment, columns.day == day))
            # Another process may have put the same day between the two.
            upsert = statement.on_conflict_do_update(index_elements=list(_KEY), set_=figures)
            connection.execute(upsert, [msgspec.structs.asdict(row) for row in rows])


def days_between(first: str, last: str) -> list[str]:
    """Return the days from one to another, both included.

    >>> days_between("2026-02-27", "2026-03-01")
    ['2026-02-27', '2026-02-28', '2026-03-01']
    """
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]


def _grouped(experiment: str, day: str) -> Select[Any]:
    o = OUTCOME.c
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    labels = [o.detail[key].as_string().label(key) for key in ("expected", CONTROL, TREATMENT)]
    texts = [cast(o.slices, Text).label("combination"), *labels]
    return (
        select(
            *(o.epoch, o.metric, o.scorer, *texts),
            func.count().label("pairs"),
            func.sum(o.control_value).label("control_sum"),
            func.sum(o.treatment_value).label("treatment_sum"),
            func.sum(case((o.control_value > o.treatment_value, 1), else_=0)).label("losses"),
            func.sum(case((o.treatment_value > o.control_value, 1), else_=0)).label("wins"),
            func.max(o.seq).label("newest"),
        )
        .where(o.experiment == experiment, o.at >= begin, o.at < begin + _DAY_S, o.failure == "")
        # By name: written out a second time, PostgreSQL would not know the expressions again.
        .group_by(o.epoch, o.metric, o.scorer, *(text.name for text in texts))
        .order_by(func.min(o.seq))
    )


@dataclass
class _Sums:
    """A metric in a slice, of both variants."""

    pairs: int = 0
    totals: list[float] = field(default_factory=lambda: [0.0, 0.0])
    better: list[int] = field(default_factory=lambda: [0, 0])
    labels: tuple[LabelCounts, LabelCounts] = field(default_factory=lambda: (LabelCounts(), LabelCounts()))

    def add(self, row: Row[Any]) -> None:
        self.pairs += row.pairs
        for side, total in enumerate((row.control_sum, row.treatment_sum)):
            self.totals[side] += total
        for side, better in enumerate((row.losses, row.wins)):
            self.better[side] += better
        if row.expected is not None:
            for labels, answered in zip(self.labels, (row.control, row.treatment), strict=True):
                labels.add(row.expected, answered, row.pairs)


@dataclass
class _Fold:
    """A metric under one version of its scorer, on one day."""

    newest: int = 0
    """Highest `seq`: of two versions, the one that goes on is in use."""
    slices: dict[str, _Sums] = field(default_factory=dict)
    _values: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Row[Any]) -> None:
        self.newest = max(self.newest, row.newest)
        for slice_ in (ALL, *self._named(msgspec.json.decode(row.combination, type=dict[str, str]))):
            self.slices.setdefault(slice_, _Sums()).add(row)

    def _named(self, slices: dict[str, str]) -> Iterator[str]:
        for attribute, value in slices.items():
            known = self._values.setdefault(attribute, set())
            if len(known) < MAX_SLICE_VALUES:
                known.add(value)
            yield f"{attribute}={value if value in known else 'other'}"

    def rows(self, experiment: str, epoch: int, day: str, metric: str, *, judged: bool) -> Iterator[DailyQuality]:
        for slice_, sums in self.slices.items():
            for side, variant in enumerate((CONTROL, TREATMENT)):
                yield DailyQuality(
                    experiment=experiment,
                    epoch=epoch,
                    day=day,
                    metric=metric,
                    slice=slice_,
                    variant=variant,
                    pairs=sums.pairs,
                    mean=sums.totals[side] / sums.pairs,
                    macro_f1=sums.labels[side].macro_f1(),
                    win_rate=sums.better[side] / sums.pairs if judged else None,
                )


def _in_use(
    folds: dict[tuple[int, str, str], _Fold],
) -> Iterable[tuple[tuple[int, str, str], _Fold]]:
    """Return those of each metric's newest version: `touchstone rescore` leaves the older ones where they are."""
    newest: dict[tuple[int, str], int] = {}
    for (epoch, metric, _), fold in folds.items():
        newest[epoch, metric] = max(fold.newest, newest.get((epoch, metric), 0))
    return [(key, fold) for key, fold in folds.items() if fold.newest == newest[key[:2]]]
