"""Feedback from a file into the store: by the same rules as over HTTP, in batches, as often as one likes.

Doing it again changes nothing: of each exchange, metric and source, what is stored already or is older than what is
stored is passed over. A changed value is a row of its own, as always: the newest counts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from sqlalchemy import Connection, insert, select

from experiments.assignment import unit_of
from experiments.config.records import Experiment
from experiments.feedback.file import Given, Line
from experiments.feedback.rules import taken_by, time_refusal
from experiments.model import Role
from experiments.pairs.labels import Label, LabelStore
from experiments.rows import storable
from experiments.store import Store
from experiments.tables import EXCHANGE, FEEDBACK

_BATCH = 5_000
_TOLD = 20
_WITHOUT = ""
"""Stands for the exchange of a line that has none."""


@dataclass
class Imported:
    """What became of the lines."""

    lines: int = 0
    stored: int = 0
    """New feedback: written, or with `dry_run` what would be."""
    labels: int = 0
    """Right answers: written, or with `dry_run` what would be."""
    known: int = 0
    """Feedback that is there already."""
    refused: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Line number -> why, of the first that were refused."""

    def refuse(self, number: int, why: str) -> None:
        """Count a line that is not taken."""
        self.refused += 1
        if len(self.faults) < _TOLD:
            self.faults.append((number, why))


class FeedbackImport:
    """Takes lines into the store.

    Args:
        store: Where the exchanges are, and the feedback goes.
        experiment: Of which all exchanges must be.
        source: Who says it.
        now: Wall-clock time in seconds since the epoch (UTC).
        written_at: When the file was written: the time of the lines that give none. Not the time of the import, so that
            doing it again finds what is there.
        dry_run: Write nothing.

    Raises:
        ScorerError: A scorer of another package cannot be loaded.
    """

    def __init__(
        self, store: Store, experiment: Experiment, source: str, *, now: float, written_at: float, dry_run: bool = False
    ) -> None:
        state = store.route_states().get(experiment.name)
        self._store = store
        self._experiment = experiment.name
        # The salt of the route, not of the configuration: a retry draws its users anew.
        self._salt = state.route.salt if state is not None else experiment.salt
        self._source = source
        self._now = now
        self._written_at = min(now, written_at)
        self._dry_run = dry_run
        self._taken = taken_by(experiment)
        # What this import adds itself says nothing of whether it was done before.
        self._before = store.watermarks().feedback
        self.result = Imported()

    def texts(self, metric: str) -> bool:
        """Whether the values of a metric are texts."""
        return metric in self._taken.labels

    def run(self, lines: Iterable[Line], note: Callable[[], object] = lambda: None) -> Imported:
        """Take all lines.

        Args:
            lines: One at a time is held of those that are read, and a batch of those that are stored.
            note: Called after each batch.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away or locked. What was stored stays; do it again.
        """
        remaining = iter(lines)
        while batch := list(islice(remaining, _BATCH)):
            self.result.lines += len(batch)
            self._take(list(self._sound(batch)))
            note()
        return self.result

    def _sound(self, batch: Iterable[Line]) -> Iterator[tuple[int, Given]]:
        """Yield what keeps the rules, as far as the store need not be asked."""
        for line in batch:
            given = line.given
            if given is None:
                self.result.refuse(line.number, line.fault)
                continue
            refusal = self._taken.refusal(given.metric, given.value)
            if refusal is None and given.at is not None:
                refusal = time_refusal(given.at, self._now)
            if refusal is not None:
                self.result.refuse(line.number, refusal.detail)
            else:
                yield line.number, given

    def _take(self, sound: list[tuple[int, Given]]) -> None:
        with self._store.engine.connect() as connection:
            of_unit = self._exchanges_of_units(connection, [given for _, given in sound if given.unit])
            faults = self._exchange_faults(connection, {given.exchange for _, given in sound if given.exchange})
        numbers: list[dict[str, Any]] = []
        labels: list[Label] = []
        for number, given in sound:
            exchange = given.exchange or of_unit[given.unit, self._at(given)]
            fault = faults.get(exchange) if given.exchange else _no_answer(exchange)
            if fault is not None:
                self.result.refuse(number, fault)
            elif isinstance(given.value, str):
                labels.append(self._label(exchange, given, given.value))
            else:
                numbers.append(self._row(exchange, given, float(given.value)))
        self._add(numbers)
        self.result.labels += len(labels) if self._dry_run else LabelStore(self._store.engine).add(labels)

    def _at(self, given: Given) -> float:
        return self._written_at if given.at is None else given.at

    def _row(self, exchange: str, given: Given, value: float) -> dict[str, Any]:
        row = {"exchange": exchange, "metric": given.metric, "source": self._source}
        return storable(row | {"value": value, "at": self._at(given)})

    def _label(self, exchange: str, given: Given, text: str) -> Label:
        return Label(
            pair=exchange,
            experiment=self._experiment,
            metric=given.metric,
            value=text,
            source=self._source,
            at=self._at(given),
        )

    # --- the store ----------------------------------------------------------------------------------------------------

    def _exchange_faults(self, connection: Connection, ids: set[str]) -> dict[str, str]:
        """Return exchange -> why there can be no feedback on it."""
        columns = EXCHANGE.c
        query = select(columns.id, columns.experiment, columns.role).where(columns.id.in_(sorted(ids)))
        found = {row.id: row for row in connection.execute(query)} if ids else {}
        faults = {exchange: f"no exchange has the id {exchange!r}" for exchange in ids - found.keys()}
        for exchange, row in found.items():
            if row.experiment != self._experiment:
                faults[exchange] = f"{exchange} is of experiment {row.experiment!r}, not of {self._experiment!r}"
            elif row.role != Role.LIVE:
                faults[exchange] = f"{exchange} is no answer that a user got: it is a {row.role} exchange"
        return faults

    def _exchanges_of_units(self, connection: Connection, given: list[Given]) -> dict[tuple[str, float], str]:
        """Return (unit, time) -> the newest answer that the unit had had by then; empty if it had none."""
        times: dict[str, list[float]] = {}
        for item in given:
            times.setdefault(item.unit, []).append(self._at(item))
        keys = {unit_of(self._salt, unit.encode()).key: unit for unit in times}
        columns = EXCHANGE.c
        query = (
            select(columns.unit, columns.at, columns.id)
            .where(columns.experiment == self._experiment, columns.role == Role.LIVE, columns.unit.in_(sorted(keys)))
            .execution_options(yield_per=_BATCH)
        )
        newest = {unit: [(float("-inf"), _WITHOUT)] * len(asked) for unit, asked in times.items()}
        for asked in times.values():
            asked.sort()
        for key, at, exchange in connection.execute(query) if keys else ():
            unit = keys[key]
            first = bisect_left(times[unit], at)
            if first < len(times[unit]):
                # The first time by which the unit had had it; those behind see it too, below.
                newest[unit][first] = max(newest[unit][first], (at, exchange))
        return {
            (unit, at): exchange
            for unit, asked in times.items()
            for at, (_, exchange) in zip(asked, accumulate(newest[unit], max), strict=True)
        }

    def _add(self, rows: list[dict[str, Any]]) -> None:
        """Add what is new, in one transaction."""
        with self._store.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Rows must become visible in the order of their numbers: a look never goes back for one.
                connection.exec_driver_sql("LOCK TABLE feedback IN SHARE ROW EXCLUSIVE MODE")
            new = self._new(connection, rows)
            if new and not self._dry_run:
                connection.execute(insert(FEEDBACK), new)
        self.result.stored += len(new)
        self.result.known += len(rows) - len(new)

    def _new(self, connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what is to be added to what is stored, in order."""
        columns = FEEDBACK.c
        query = select(columns.seq, columns.exchange, columns.metric, columns.value, columns.at).where(
            columns.exchange.in_(sorted({row["exchange"] for row in rows})), columns.source == self._source
        )
        said: dict[tuple[str, str], _Said] = {}
        for seq, exchange, metric, value, at in connection.execute(query.order_by(columns.seq)) if rows else ():
            said.setdefault((exchange, metric), _Said()).note(value, at, by_us=seq > self._before)
        return [
            row
            for row in rows
            if said.setdefault((row["exchange"], row["metric"]), _Said()).is_changed_by(row["value"], row["at"])
        ]


@dataclass
class _Said:
    """What one source has said of one exchange and metric."""

    value: float | None = None
    """The last."""
    at: float = float("-inf")
    """The latest time of any, in seconds since the epoch (UTC)."""
    by_us: bool = False
    """Whether this import has added to it."""
    before: set[tuple[float, float]] = field(default_factory=set)
    """All (value, time) that were there before this import."""

    def note(self, value: float, at: float, *, by_us: bool) -> None:
        """Take up one that is stored; they come in the order in which they were said."""
        self.value, self.at, self.by_us = value, max(self.at, at), self.by_us or by_us
        if not by_us:
            self.before.add((value, at))

    def is_changed_by(self, value: float, at: float) -> bool:
        """Whether this is news, and if so take it up.

        What is older than what was said is none: it would count as the newest. Of the same time it may be a file that
        was corrected, unless that very feedback is there.
        """
        if at < self.at:
            return False
        self.at = at
        if value == self.value or (not self.by_us and (value, at) in self.before):
            return False
        self.value, self.by_us = value, True
        return True


def _no_answer(exchange: str) -> str | None:
    return None if exchange else "the unit had had no answer by then"
