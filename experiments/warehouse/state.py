"""Runs the expressions on an engine, and puts together what the ledger keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from experiments.evaluation.counts import ALL, Key, Moments, PairCounts
from experiments.evaluation.ledger import Strata
from experiments.model import Role
from experiments.scoring.experiment_scorer import ERRORS
from experiments.scoring.operational import RATIOS
from experiments.warehouse import boosts, expressions, votes
from experiments.warehouse.chosen import Chosen
from experiments.warehouse.labels import Labels, labels
from experiments.warehouse.records import State, WarehouseError

Keep = Callable[[ir.Table], ir.CachedTable]


class Gathering:
    """One analysis of one epoch; what several expressions need is computed once and kept by the engine until `close`.

    Args:
        tables: Checked, by the names of `schema.COLUMNS`.
        chosen: Which rows, by which rules; the lanes are found here.
        versions: Metric -> the version of its scorer that is to be counted.
        keep: Has the engine compute a table and keep it.
    """

    def __init__(
        self, tables: Mapping[str, ir.Table], chosen: Chosen, versions: Mapping[str, str], keep: Keep | None = None
    ) -> None:
        self._kept, self._cached = ExitStack(), keep or _cached
        last = chosen.looks[-1] if chosen.looks else None
        self._exchanges = expressions.of_epoch(tables["exchanges"], chosen, last.exchange_seq if last else None)
        self._outcomes = expressions.of_epoch(tables["outcomes"], chosen, last.outcome_seq if last else None)
        self._feedback = tables.get("feedback")
        self.state = State(looks=len(chosen.looks), looked_at=last.at if last else None)
        self._count_exchanges()
        self._chosen = self._with_lanes(chosen, versions)

    def __repr__(self) -> str:
        return f"<Gathering {self._chosen.experiment.name} epoch {self._chosen.epoch}>"

    def close(self) -> None:
        """Let the engine drop what it has kept."""
        self._kept.close()

    def run(self) -> State:
        """Return the state.

        Raises:
            WarehouseError: The rows cannot be counted.
        """
        self._units = self._keep(expressions.units(self._exchanges))
        self._count_units(self._units)
        rows = self._counted()
        of_text = self._count_pairs(rows)
        self._rows, self._of_text = rows, of_text
        for number, of_units in enumerate(self._summed(rows, of_text)):
            self._count_observations(of_units, over_all=number == 0)
        if self._feedback is not None and self._chosen.feedback_metrics:
            self._count_votes(self._feedback)
        return self.state

    def unit_rows(self) -> ir.Table:
        """Return every observation with its unit's first place; after `run`.

        Columns: unit, metric, slice, n_pairs, mean, stage, split_basis_points, assigned.
        """
        sums = list(self._summed(self._rows, self._of_text))
        found = ibis.union(*(one for of_units in sums for one in self._observations(of_units)), distinct=False)
        rows = found.join(self._units.select("unit", code=self._units.place % expressions.PLACES), "unit")
        code: Any = rows.code
        return rows.select(
            "unit",
            "metric",
            "slice",
            "n_pairs",
            "mean",
            stage=(code / 2**15).floor().cast("int64"),
            split_basis_points=(code % 2**15 / 2).floor().cast("int64"),
            assigned=(code % 2 == 1).ifelse("treatment", "control"),
        )

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def _count_exchanges(self) -> None:
        state = self.state
        for row in _rows(expressions.exchange_counts(self._exchanges)):
            _check_limits(row)
            if row["role"] == Role.LIVE:
                state.live += row["n"]
                state.served_by_treatment += row["n"] if row["by_treatment"] else 0
            else:
                counts = state.shadows.setdefault(row["assigned"], [0, 0])
                counts[0] += 0 if row["missing"] else row["n"]
                counts[1] += row["n"]

    def _count_units(self, units: ir.Table) -> None:
        errors: Counter[tuple[float, int]] = Counter()
        for row in _rows(expressions.places(units)):
            _count(self.state.exposures, row["place"], row["n"])
            if row["error_place"] is not None:
                _, split, arm = expressions.place(row["error_place"])
                errors[split / 10_000, arm] += row["n"]
        self.state.events[ERRORS] = errors

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _with_lanes(self, chosen: Chosen, asked: Mapping[str, str]) -> Chosen:
        """Say which version of each metric counts and which metrics have a lane of their own; refuse mixed ones."""
        by_metric: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(_rows(expressions.census(self._outcomes)), key=lambda row: row["first_seq"]):
            by_metric.setdefault(row["metric"], []).append(row)
        lanes, versions = [], {}
        for metric, rows in by_metric.items():
            row = _version(metric, rows, asked.get(metric), looks=bool(chosen.looks))
            _check_values(metric, row)
            self.state.scorers[metric] = row["scorer"]
            if len(rows) > 1:
                versions[metric] = row["scorer"]
            if row["first_at_once"] != row["first_seq"]:
                lanes.append(metric)
        return replace(chosen, lanes=tuple(lanes), versions=versions)

    def _counted(self) -> ir.Table:
        """Return the outcomes that count; what takes windows is computed once."""
        chosen = self._chosen
        if chosen.looks:
            return self._keep(expressions.counted(self._outcomes, self._units, chosen))
        rows, many = expressions.prepared(self._outcomes, chosen), expressions.with_many(self._units, chosen)
        if not _rows(many.limit(1)):
            return expressions.uncapped(rows, None)
        many = self._keep(many)
        return ibis.union(expressions.uncapped(rows, many), self._keep(expressions.capped(rows, many, chosen)))

    def _count_pairs(self, rows: ir.Table) -> Labels:
        """Count pairs, in all traffic and in slices; returns to which slices each text of `slices` belongs."""
        chosen = self._chosen
        found = _rows(expressions.pair_sums(rows))
        first: dict[str, int] = {}
        for row in found:
            first[row["text"]] = min(row["first_seq"], first.get(row["text"], row["first_seq"]))
        of_text, self.state.slice_values = labels(first.items(), chosen.attributes)
        if not chosen.boosted:
            self._add_pairs(found, {text: (ALL, *slices) for text, slices in of_text.items()})
            return of_text
        self._add_pairs(_rows(expressions.pair_sums(rows.filter(rows.in_all))), dict.fromkeys(of_text, (ALL,)))
        if any(of_text.values()):
            in_slices = boosts.in_slices(rows, _table(of_text), chosen)
            self._add_pairs(_rows(expressions.pair_sums(in_slices)), {s: (s,) for s in _slices(of_text)})
        return of_text

    def _summed(self, rows: ir.Table, of_text: Labels) -> Iterator[ir.Table]:
        """Yield the sums of units over all traffic, and in slices if there are any."""
        metrics, chosen = list(self.state.scorers), self._chosen
        yield expressions.unit_sums(rows.filter(rows.in_all) if chosen.boosted else rows, metrics)
        if not any(of_text.values()):
            return
        if chosen.boosted:
            same = _table({slice_: (slice_,) for slice_ in _slices(of_text)})
            yield expressions.unit_sums(boosts.in_slices(rows, _table(of_text), chosen), metrics, same)
        else:
            yield expressions.unit_sums(rows, metrics, _table(of_text))

    def _observations(self, of_units: ir.Table) -> list[ir.Table]:
        return [expressions.observations(of_units, index, metric) for index, metric in enumerate(self.state.scorers)]

    def _add_pairs(self, rows: Iterable[dict[str, Any]], slices_of: Labels) -> None:
        for row in rows:
            for slice_ in slices_of[row["text"]]:
                key = Key(row["metric"], slice_)
                if row["failed"]:
                    self.state.failed[key] += row["failed"]
                if row["n"]:
                    _add_pairs(self.state.pair_counts.setdefault(key, PairCounts()), row)

    def _count_observations(self, of_units: ir.Table, *, over_all: bool) -> None:
        """Count the observations of all metrics; what is kept of units is let go at once."""
        with ExitStack() as stack:
            kept = self._cached(of_units)
            stack.callback(kept.release)
            if over_all:
                self.state.analysed = _strata(_rows(expressions.analysed(kept, self._units)))
            parts = dict(zip(self.state.scorers, self._observations(kept), strict=True))
            if ratios := [table for metric, table in parts.items() if metric in RATIOS]:
                for row in _rows(expressions.moments(ibis.union(*ratios, distinct=False))):
                    n = row["n"]
                    self.state.moments[Key(row["metric"], row["slice"])] = Moments(
                        n, row["average"], row["variance"] * n
                    )
            if others := [table for metric, table in parts.items() if metric not in RATIOS]:
                columns = expressions.differences(ibis.union(*others, distinct=False)).to_pyarrow().to_pydict()
                for metric, slice_, mean, n in zip(
                    *(columns[c] for c in ("metric", "slice", "mean", "n")), strict=True
                ):
                    self.state.differences.setdefault(Key(metric, slice_), Counter())[mean] += n

    # --- feedback -----------------------------------------------------------------------------------------------------

    def _count_votes(self, feedback: ir.Table) -> None:
        found = self._keep(votes.votes(feedback, self._exchanges, self._chosen))
        for row in _rows(votes.answered(found, self._units)):
            _count(self.state.answered.setdefault(row["metric"], {}), row["place"], row["n"])
        for row in _rows(votes.bad(found)):
            _, split, arm = expressions.place(row["place"])
            self.state.events.setdefault(row["metric"], Counter())[split / 10_000, arm] += row["n"]

    def _keep(self, table: ir.Table) -> ir.Table:
        kept = self._cached(table)
        self._kept.callback(kept.release)
        return kept


@contextmanager
def gathering(
    tables: Mapping[str, ir.Table], chosen: Chosen, versions: Mapping[str, str], keep: Keep | None = None
) -> Iterator[Gathering]:
    """Begin to gather; on leaving, the engine drops what it has kept."""
    found = Gathering(tables, chosen, versions, keep)
    try:
        yield found
    finally:
        found.close()


def _cached(table: ir.Table) -> ir.CachedTable:
    return table.cache()


def _rows(table: ir.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return rows


def _table(slices_of: Labels) -> ir.Table:
    pairs = [(text, slice_) for text, slices in slices_of.items() for slice_ in slices]
    return ibis.memtable(pa.table({"text": [text for text, _ in pairs], "slice": [slice_ for _, slice_ in pairs]}))


def _slices(slices_of: Labels) -> list[str]:
    """Return the slices, each once."""
    return list(dict.fromkeys(slice_ for slices in slices_of.values() for slice_ in slices))


def _strata(rows: Iterable[dict[str, Any]]) -> Strata:
    found: Strata = {}
    for row in rows:
        _count(found, row["place"], row["n"])
    return found


def _count(table: Strata, code: int, n: int) -> None:
    stage, split, arm = expressions.place(code)
    table.setdefault((stage, split), [0, 0])[arm] += n


def _add_pairs(counts: PairCounts, row: Mapping[str, Any]) -> None:
    counts.pairs += row["n"]
    counts.losses += row["losses"]
    counts.wins += row["wins"]
    counts.control += row["control"]
    counts.treatment += row["treatment"]


def _version(metric: str, rows: list[dict[str, Any]], asked: str | None, *, looks: bool) -> dict[str, Any]:
    """Return the version of a metric that counts."""
    told = ", ".join(f"{row['scorer']} ({row['rows']:,} rows)" for row in rows)
    if asked is not None:
        chosen = next((row for row in rows if row["scorer"] == asked), None)
        if chosen is None:
            raise WarehouseError(f"outcomes.scorer: {metric} has no version {asked!r}; there are: {told}")
        if looks and len(rows) > 1:
            raise WarehouseError(
                f"outcomes.scorer: {metric} has several versions: {told}; --as-of looks cannot tell what its looks "
                "counted, --as-of all can"
            )
        return chosen
    if len(rows) > 1:
        raise WarehouseError(
            f"outcomes.scorer: {metric} has several versions, and figures of two are not mixed: {told}; choose one by "
            f"--as-of all --scorer {metric}=VERSION"
        )
    return rows[0]


def _check_values(metric: str, row: Mapping[str, Any]) -> None:
    if metric in RATIOS or row["low"] is None:
        return
    for found in (row["low"], row["high"]):
        if not -1 <= found <= 1:
            raise WarehouseError(f"outcomes.value: {metric} has {found!r}, and a difference must be in [-1, 1]")


def _check_limits(row: Mapping[str, Any]) -> None:
    for column, low, high, most in (("stage", "low_stage", "high_stage", expressions.STAGES - 1),
                                    ("propensity", "low_share", "high_share", 1)):  # fmt: skip
        for found in (row[low], row[high]):
            if not 0 <= found <= most:
                raise WarehouseError(f"exchanges.{column}: {found!r} is there, and must be in [0, {most}]")
