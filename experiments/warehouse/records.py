"""What an analysis is asked and what it says: plain records, and the one error of this package."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from experiments.evaluation.counts import Key, Moments, PairCounts
from experiments.evaluation.ledger import Strata
from experiments.evidence import Completeness, Kind, MetricFigures, Response

AsOf = Literal["looks", "all"]
"""`looks`: as the controller counted, look by look. `all`: everything, as if looked at once at the end."""


class WarehouseError(ValueError):
    """The data cannot be analysed so; one line that names table, column, what was found and what is expected."""


@dataclass
class State:
    """What the ledger keeps, as it comes out of an engine."""

    exposures: Strata = field(default_factory=dict)
    analysed: Strata = field(default_factory=dict)
    answered: dict[str, Strata] = field(default_factory=dict)
    events: dict[str, Counter[tuple[float, int]]] = field(default_factory=dict)
    differences: dict[Key, Counter[float]] = field(default_factory=dict)
    moments: dict[Key, Moments] = field(default_factory=dict)
    pair_counts: dict[Key, PairCounts] = field(default_factory=dict)
    failed: Counter[Key] = field(default_factory=Counter)
    shadows: dict[str, list[int]] = field(default_factory=dict)
    slice_values: dict[str, list[str]] = field(default_factory=dict)
    scorers: dict[str, str] = field(default_factory=dict)
    """Metric -> version of its scorer."""
    live: int = 0
    served_by_treatment: int = 0
    looks: int = 0
    """Looks that were followed; 0 for `all`."""
    looked_at: float | None = None
    """Time of the last of them, in seconds since the epoch."""

    @property
    def units(self) -> int:
        """Return how many units have been analysed."""
        return sum(sum(counts) for counts in self.analysed.values())


class Facts(NamedTuple):
    """How a metric is meant."""

    role: str
    """`guardrail`, `goal` or `monitor`."""
    kind: Kind


class Row(MetricFigures, frozen=True, kw_only=True):
    """One metric in one slice, at this one look: its interval is not the intersection over earlier ones."""

    not_estimable: str = ""
    """Why there is no interval."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Whether units came to the variants in the configured shares."""

    name: str
    """`assigned` units, or `analysed` ones."""
    stages: list[tuple[int, int, int]]
    """(split in basis points, control units, treatment units)."""
    log_bayes_factor: float


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    experiment: str
    epoch: int
    engine: str
    data: str
    as_of: AsOf
    looks: int
    looked_at: float | None
    exchanges: int
    """Live ones."""
    served_by_treatment: int
    units: int
    """Analysed."""
    metrics: list[Row]
    splits: list[Split]
    completeness: list[Completeness]
    responses: list[Response]
    seconds: float
    """That the engine and the statistics took."""

    def row(self, metric: str, slice_: str = "") -> Row:
        """Return the row of a metric in a slice; of a guardrail with pairs and events, the pairs'.

        Raises:
            KeyError: There is none.
        """
        for row in self.metrics:
            if (row.metric, row.slice) == (metric, slice_):
                return row
        raise KeyError((metric, slice_))


def plain(value: Any) -> Any:
    """Return a value as numbers, texts and lists."""
    return msgspec.to_builtins(value)
