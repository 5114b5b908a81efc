"""An analysis from end to end: a source in, records out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.config.records import Experiment
from experiments.evidence import Completeness
from experiments.warehouse.records import Analysis, AsOf, State, WarehouseError

if TYPE_CHECKING:
    from experiments.warehouse.sources import Source


def analyze(
    source: Source,
    experiment: Experiment | str,
    *,
    epoch: int | None = None,
    as_of: AsOf | None = None,
    scorers: Mapping[str, str] | None = None,
    attributes: tuple[str, ...] | None = None,
    units_out: Path | None = None,
) -> Analysis:
    """Return what the data says of an experiment: sums by the source's engine, statistics by `analysis`.

    Args:
        source: As `experiments.warehouse.sources.opened` gives it.
        experiment: Its name, where the source keeps configurations by epoch, and these count; else its configuration.
        epoch: The newest unless given; data without configurations must have one only.
        as_of: `looks` where there are looks, else `all`.
        scorers: Metric -> version of its scorer, where there are several.
        attributes: Slice attributes that are followed; all that are configured unless given.
        units_out: Also write every unit's observations to this Parquet file.

    Raises:
        WarehouseError: The data cannot be analysed so.
        OSError: The file cannot be written.
    """
    from experiments.warehouse import summary  # noqa: PLC0415  # Ibis is an extra
    from experiments.warehouse.chosen import Chosen  # noqa: PLC0415
    from experiments.warehouse.state import gathering  # noqa: PLC0415

    began = time.perf_counter()
    name = experiment if isinstance(experiment, str) else experiment.name
    number, configured = source.epoch_of(name, None if isinstance(experiment, str) else experiment, epoch)
    counted: AsOf = as_of or ("looks" if "looks" in source.tables else "all")
    looks = source.looks(name, number) if counted == "looks" else ()
    if attributes is None:
        attributes = tuple(slice_.attribute for slice_ in configured.slices)
    chosen = Chosen(configured, number, looks=looks, attributes=attributes)
    with gathering(source.tables, chosen, scorers or {}, source.keep) as work:
        state = work.run()
        if not state.live:
            raise WarehouseError(f"exchanges: there are no live rows of {name}, epoch {number}")
        if units_out is not None:
            source.write_parquet(work.unit_rows(), units_out)
    return Analysis(
        experiment=name,
        epoch=number,
        engine=source.engine,
        data=source.data,
        as_of=counted,
        looks=state.looks,
        looked_at=state.looked_at,
        exchanges=state.live,
        served_by_treatment=state.served_by_treatment,
        units=state.units,
        metrics=list(summary.rows(configured, state)),
        splits=[summary.split("assigned", state.exposures), summary.split("analysed", state.analysed)],
        completeness=_completeness(state),
        responses=list(summary.responses(summary.ledger_of(configured, state))),
        seconds=time.perf_counter() - began,
    )


def _completeness(state: State) -> list[Completeness]:
    return [Completeness(variant=v, complete=done, due=due) for v, (done, due) in sorted(state.shadows.items())]
