"""Which look a row belongs to, as a join on equality that every engine does fast. Pure.

A look has read the rows whose `seq` is in (what the look before had read, what it had read]. A join on such ranges is
slow or missing on most engines, so the axis is cut into buckets of one width, and each look stands once in every bucket
that it touches: rows are joined by their bucket first, and there is about one look in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from experiments.warehouse.records import WarehouseError


class SeenLook(NamedTuple):
    """What is needed of a look."""

    number: int
    at: float
    """Wall-clock time in seconds since the epoch."""
    exchange_seq: int
    outcome_seq: int
    feedback_seq: int


def checked_looks(looks: Sequence[SeenLook]) -> None:
    """Refuse looks from which closing cannot be told.

    Args:
        looks: Of one epoch, ordered by number.

    Raises:
        WarehouseError: There is none, some are missing, or time went backwards between two.
    """
    if not looks:
        raise WarehouseError("looks: there are no rows, and --as-of looks needs them; --as-of all does not")
    for expected, look in enumerate(looks, start=1):
        if look.number != expected:
            raise WarehouseError(
                f"looks.number: {look.number} stands where {expected} is expected (an export with --since?): "
                "--as-of looks cannot tell what they counted; --as-of all can"
            )
    for before, after in pairwise(looks):
        if after.at < before.at:
            raise WarehouseError(
                f"looks.at: look {after.number} is {before.at - after.at:g} s before look {before.number}: "
                "--as-of looks cannot tell when units were quiet; --as-of all can"
            )


class Steps:
    """The looks along one axis.

    Args:
        looks: In order.
        ends: Where each one ends on the axis; never falling.
        start: Where the first one begins; what lies at or before it belongs to none.
    """

    def __init__(self, looks: Sequence[SeenLook], ends: Sequence[float], start: float = 0) -> None:
        self._start = start
        spans = [
            (low, high, look.number, look.at, looks[index - 1].at if index else None)
            for index, (low, high, look) in enumerate(zip([start, *ends], ends, looks, strict=False))
            if high > low
        ]
        last = spans[-1][1] if spans else start + 1
        self._width = max((last - start) / max(1, len(spans)), 1e-3)
        if isinstance(start, int):
            self._width = math.ceil(self._width)
        rows = [(bucket, *span) for span in spans for bucket in range(self._bucket(span[0]), self._bucket(span[1]) + 1)]
        axis = pa.int64() if isinstance(start, int) else pa.float64()
        types = (pa.int64(), axis, axis, pa.int64(), pa.float64(), pa.float64())
        names = ("bucket", "low", "high", "look", "look_at", "before_at")
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        self.table: ir.Table = ibis.memtable(
            pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
        )
        """`bucket`, (`low`, `high`], and of each look its number, its time and the time of the one before."""

    def __repr__(self) -> str:
        return f"<Steps of width {self._width} from {self._start}>"

    def _bucket(self, value: float) -> int:
        return math.floor((value - self._start) / self._width)

    def joined(self, rows: ir.Table, column: str) -> ir.Table:
        """Return the rows that a look has read, with `look`, `look_at` and `before_at` (NULL for the first).

        Args:
            rows: Without columns of these names.
            column: Of the rows, on the axis.
        """
        value = rows[column]
        rows = rows.mutate(at_bucket=((value - self._start) / self._width).floor().cast("int64"))
        steps = self.table
        found = rows.join(
            steps,
            [rows.at_bucket == steps.bucket, rows[column] > steps.low, rows[column] <= steps.high],
        )
        return found.drop("at_bucket", "bucket", "low", "high")
