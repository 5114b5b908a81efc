"""Slices that are mirrored more than the rest: which pairs count in which slice, with a cap of its own each. No I/O.

A pair that was mirrored for its slice's sake counts there and not over all traffic; `experiments.mirroring` reads off
its id for what it was mirrored. So each slice counts pairs of its own, and is summed by itself.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from experiments.warehouse.chosen import Chosen
from experiments.warehouse.expressions import drawn_below


def in_slices(rows: ir.Table, labels: ir.Table, chosen: Chosen) -> ir.Table:
    """Return the outcomes that count in the slices of one attribute; `text` becomes the slice.

    Args:
        rows: As `expressions.counted` returns them.
        labels: (text, slice) of the attribute.
        chosen: By which rules.
    """
    columns = rows.columns
    joined = rows.join(labels, "text")
    drawn: Any = drawn_below(joined.pair, chosen.experiment.mirror_percent)
    for slice_, percent in chosen.boosted.items():
        drawn = ibis.ifelse(joined.slice == slice_, drawn_below(joined.pair, percent), drawn)
    found = joined.mutate(text=joined.slice).filter(drawn)
    of_slice = ["lane", "unit", "slice"]
    found = found.mutate(pair_seq=found.seq.min().over(ibis.window(group_by=[*of_slice, "pair"])))
    rank = ibis.dense_rank().over(ibis.window(group_by=of_slice, order_by="pair_seq"))
    found = found.mutate(rank=rank)
    return found.filter(found["rank"] < chosen.cap).select(columns)
