"""The expressions as SQL, for reading and for engines that we do not run: compiled, never executed here."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from experiments.config.records import Experiment
from experiments.warehouse import expressions, votes
from experiments.warehouse.chosen import Chosen
from experiments.warehouse.engines import needed
from experiments.warehouse.records import WarehouseError
from experiments.warehouse.schema import placeholders
from experiments.warehouse.steps import SeenLook

DIALECTS: Mapping[str, str] = {
    "duckdb": "duckdb",
    "postgres": "postgres",
    "spark": "pyspark",
    "clickhouse": "clickhouse",
    "bigquery": "bigquery",
}
"""Engine -> Ibis' name of its SQL."""
_LABELS = "slice_labels"
"""Stands for the table (text, slice) that is made from the different texts of `slices` when the expressions are run."""


def statements(experiment: Experiment, epoch: int, engine: str, looks: tuple[SeenLook, ...] = ()) -> dict[str, str]:
    """Return name -> SQL of every statement, on tables `exchanges`, `outcomes`, `feedback` of any database.

    Args:
        experiment: Its metrics, slices and policy.
        epoch: Its number.
        engine: One of `DIALECTS`.
        looks: Counted as these looks did; everything at once unless given.

    Raises:
        WarehouseError: The engine is unknown, or Ibis needs a library to compile for it.
    """
    if engine not in DIALECTS:
        raise WarehouseError(f"--engine {engine!r} is unknown; there are: {', '.join(DIALECTS)}")
    if engine == "spark":
        needed("spark")
        ibis.pyspark  # noqa: B018  # its options, which compiling reads, are there from here on
    chosen = Chosen(experiment, epoch, looks=looks, attributes=tuple(s.attribute for s in experiment.slices))
    return {name: str(ibis.to_sql(table, dialect=DIALECTS[engine])) for name, table in _tables(chosen).items()}


def _tables(chosen: Chosen) -> dict[str, ir.Table]:
    tables = placeholders()
    last = chosen.looks[-1] if chosen.looks else None
    exchanges = expressions.of_epoch(tables["exchanges"], chosen, last.exchange_seq if last else None)
    outcomes = expressions.of_epoch(tables["outcomes"], chosen, last.outcome_seq if last else None)
    units = expressions.units(exchanges)
    rows = expressions.counted(outcomes, units, chosen)
    asked = chosen.experiment
    named = [*(g.name for g in asked.guardrails), *(g.name for g in asked.goals), *(m.name for m in asked.monitors)]
    metrics = [name for name in dict.fromkeys(named) if name not in chosen.feedback_metrics]
    over_all = expressions.unit_sums(rows, metrics)
    observed = [expressions.observations(over_all, index, metric) for index, metric in enumerate(metrics)]
    found = {
        "exchange_counts": expressions.exchange_counts(exchanges),
        "places": expressions.places(units),
        "census": expressions.census(outcomes),
        "pair_sums": expressions.pair_sums(rows),
        "analysed": expressions.analysed(over_all, units),
        "differences": expressions.differences(ibis.union(*observed)),
        "moments": expressions.moments(ibis.union(*observed)),
    }
    if chosen.attributes:
        labels = ibis.table({"text": "string", "slice": "string"}, name=_LABELS)
        found["unit_sums_in_slices"] = expressions.unit_sums(rows, metrics, labels)
    if chosen.feedback_metrics:
        cast = votes.votes(tables["feedback"], exchanges, chosen)
        found |= {"answered": votes.answered(cast, units), "bad_votes": votes.bad(cast)}
    return found
