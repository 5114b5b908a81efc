"""Units on their way to becoming observations, lane by lane. Pure.

A pair's outcomes do not all come at the same time: a judge answers long after a unit has gone quiet, and a rescored
metric comes anew. Each such metric has a lane of its own, with its own open and closed units, so that it neither waits
for the others nor is dropped because they did not wait for it. All other metrics share the first lane, and it alone
says which units have been analysed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from experiments.config.records import Policy
from experiments.evaluation.counts import ALL, Exposure, Key
from experiments.stored import Outcome

FIRST = ""
"""The lane of all metrics that are scored at once."""


@dataclass
class OpenUnit:
    """A unit whose observation is still being made."""

    name: str
    """Keyed hash of what was randomised."""
    exposure: Exposure
    last_at: float
    """When it was last heard of, in seconds since the epoch."""
    pairs: dict[str, dict[str, None]] = field(default_factory=dict)
    """Slice -> the pairs that count in it; the slice of all traffic is there from the first one that counts."""
    sums: dict[Key, list[float]] = field(default_factory=dict)
    """(sum, number) of its pairs' values."""

    def is_full(self, pair: str, cap: int) -> bool:
        """Whether a pair comes too late to count."""
        pairs = self.pairs.get(ALL, {})
        return pair not in pairs and len(pairs) >= cap

    def takes(self, slice_: str, pair: str, cap: int) -> bool:
        """Let a pair count in a slice; False where the slice has enough of this unit.

        Every slice has a cap of its own: pairs that are mirrored for a slice's sake take no place of those that count
        over all traffic.
        """
        pairs = self.pairs.setdefault(slice_, {})
        if pair not in pairs and len(pairs) >= cap:
            return False
        pairs[pair] = None
        return True

    def add(self, key: Key, value: float) -> None:
        """Add the value of one pair."""
        sums = self.sums.setdefault(key, [0.0, 0])
        sums[0] += value
        sums[1] += 1

    @property
    def is_counted(self) -> bool:
        """Whether any of its pairs counts over all traffic."""
        return bool(self.pairs.get(ALL))

    def means(self) -> Iterable[tuple[Key, float]]:
        """Return its observation of every metric and slice."""
        return ((key, total / count) for key, (total, count) in self.sums.items())


class Lane:
    """Units that are open, and those that are closed for good.

    Args:
        policy: Says when a unit is closed.
    """

    __slots__ = ("_closed", "_open", "_policy")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._open: dict[str, OpenUnit] = {}
        self._closed: set[str] = set()

    def __repr__(self) -> str:
        return f"<Lane with {len(self._open)} units open, {len(self._closed)} closed>"

    def unit_of(self, outcome: Outcome, exposure: Exposure, heard_at: float) -> OpenUnit | None:
        """Return the unit of an outcome, opened if need be; None where the outcome comes too late to count.

        Args:
            outcome: Of a pair of the unit.
            exposure: The unit's first.
            heard_at: When the outcome came, in seconds since the epoch: the unit's quiet time begins there.
        """
        name = outcome.unit
        if name in self._closed:
            return None
        unit = self._open.get(name)
        if unit is None:
            unit = self._open[name] = OpenUnit(name, exposure, heard_at)
        if unit.is_full(outcome.pair, self._policy.unit_cap):
            return None
        unit.last_at = max(unit.last_at, heard_at)
        return unit

    def close(self, now: float) -> list[OpenUnit]:
        """Take out every unit that is quiet or at its cap, in the order in which they were opened."""
        cap, settle_s = self._policy.unit_cap, self._policy.settle_seconds
        ripe = [
            name
            for name, unit in self._open.items()
            if len(unit.pairs.get(ALL, ())) >= cap or now - unit.last_at >= settle_s
        ]
        self._closed.update(ripe)
        return [self._open.pop(name) for name in ripe]

    def drop(self, metric: str) -> None:
        """Forget what open units have of a metric, which has moved to another lane."""
        for unit in self._open.values():
            for key in [key for key in unit.sums if key.metric == metric]:
                del unit.sums[key]

    @property
    def open_units(self) -> int:
        """How many units wait."""
        return len(self._open)

    @property
    def closed_units(self) -> int:
        """How many are closed."""
        return len(self._closed)
