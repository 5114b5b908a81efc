"""The running sufficient statistics of one experiment's epoch: exchanges and outcomes in, counts out. Pure.

Randomisation is by unit (a user, a conversation), so one unit gives **one** observation per metric and slice: the mean
over its pairs, taken when the unit has been quiet for `settle_seconds` or has reached `unit_cap` pairs, and never
changed afterwards. Treating requests as independent would be wrong by far: 20 % false alarms at 50 requests a user
where 5 % were promised.

Everything is a count, a histogram or a moment, so that a look costs the same however long an experiment runs. Folding
the same rows with the same looks gives the same ledger to the last bit: that is how a decision is replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.model import MISSING_SHADOW, TREATMENT, Role
from experiments.recent import RecentRequests
from experiments.scoring import COST, ERRORS, LATENCY, TTFT, failed
from experiments.store import Outcome, StoredExchange, StoredFeedback

ALL = ""
"""The slice of all traffic."""
MAX_SLICE_VALUES = 16
"""Values of a slice attribute that are followed one by one, in order of appearance; further ones count as `other`."""
RATIOS = frozenset({LATENCY, TTFT, COST})


class Key(NamedTuple):
    """A metric in a slice."""

    metric: str
    slice: str = ALL


@dataclass
class Moments:
    """Count, mean and sum of squared deviations (Welford), for values without bounds."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def add(self, value: float) -> None:
        """Add one value."""
        self.n += 1
        delta = value - self.mean
        self.mean += delta / self.n
        self.m2 += delta * (value - self.mean)


@dataclass
class PairCounts:
    """What the pairs themselves say, for display: sums of scores, and who did better."""

    pairs: int = 0
    losses: int = 0
    wins: int = 0
    control: float = 0.0
    treatment: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Add one pair."""
        self.pairs += 1
        self.losses += outcome.value < 0
        self.wins += outcome.value > 0
        self.control += outcome.control_value
        self.treatment += outcome.treatment_value


class _Exposure(NamedTuple):
    """A unit's first live request: it decides to which stratum the unit belongs, whatever it does later."""

    stage: int
    split: int
    """Basis points."""
    assigned: str


@dataclass
class _OpenUnit:
    """A unit whose observation is still being made."""

    exposure: _Exposure
    last_at: float
    pairs: dict[str, None] = field(default_factory=dict)
    sums: dict[Key, list[float]] = field(default_factory=dict)


class Ledger:
    """The statistics' state of one experiment's epoch.

    Args:
        experiment: Its policy says how units are closed; its slices, what is followed.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._policy = experiment.policy
        self._attributes = tuple(s.attribute for s in experiment.slices)
        metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
        self._feedback_metrics = {metric.name for metric in metrics if metric.feedback}
        self._open: dict[str, _OpenUnit] = {}
        self._closed: set[str] = set()
        self._exposed: dict[str, _Exposure] = {}
        self._struck: set[tuple[str, str]] = set()
        self.differences: dict[Key, Counter[float]] = {}
        self.moments: dict[Key, Moments] = {}
        self.pair_counts: dict[Key, PairCounts] = {}
        self.events: dict[str, Counter[tuple[float, int]]] = {ERRORS: Counter()}
        self.exposures: dict[tuple[int, int], list[int]] = {}
        self.analysed: dict[tuple[int, int], list[int]] = {}
        self.shadows: dict[str, list[int]] = {}
        self.slice_values: dict[str, list[str]] = {attribute: [] for attribute in self._attributes}
        self.live = 0
        self.served_by_treatment = 0
        self.units_by_stage: Counter[int] = Counter()
        self.closing: list[tuple[str, float]] = []
        """(metric, mean difference) of the units that were closed last, in order, over all traffic."""
        self.recent = RecentRequests(experiment.trips.window_s)

    # --- folding ------------------------------------------------------------------------------------------------------

    def add_exchanges(self, exchanges: Iterable[StoredExchange]) -> None:
        """Fold exchanges in the order of the store."""
        for stored in exchanges:
            if stored.exchange.role is Role.LIVE:
                self._add_live(stored)
            elif stored.exchange.role is Role.SHADOW:
                self._add_shadow(stored)
            else:
                continue
            self.recent.add(stored)

    def _add_live(self, stored: StoredExchange) -> None:
        exchange = stored.exchange
        self.live += 1
        self.served_by_treatment += exchange.served == TREATMENT
        if exchange.unit not in self._exposed:
            exposure = self._exposed[exchange.unit] = _exposure(stored)
            _count(self.exposures, exposure)
        if failed(stored):
            self._strike(ERRORS, exchange.unit, exchange.assigned, exchange.propensity)

    def _add_shadow(self, stored: StoredExchange) -> None:
        counts = self.shadows.setdefault(stored.exchange.assigned, [0, 0])
        counts[0] += stored.exchange.error not in MISSING_SHADOW
        counts[1] += 1

    def _strike(self, metric: str, unit: str, assigned: str, propensity: float) -> None:
        """Count a bad event: the first of a unit only, and only while both variants had a chance."""
        if (metric, unit) in self._struck or not 0 < propensity < 1:
            return
        self._struck.add((metric, unit))
        treatment = assigned == TREATMENT
        share = propensity if treatment else 1 - propensity
        self.events.setdefault(metric, Counter())[round(share, 4), int(treatment)] += 1

    def add_feedback(self, feedback: Iterable[StoredFeedback]) -> None:
        """Fold feedback: a value of 0 (false, thumb down) is a bad event of the unit."""
        for item in feedback:
            if item.metric in self._feedback_metrics and item.value <= 0:
                self._strike(item.metric, item.unit, item.assigned, item.propensity)

    def add_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Fold the outcomes of pairs in the order of the store."""
        for outcome in outcomes:
            if outcome.unit in self._closed:
                continue
            unit = self._open.get(outcome.unit)
            if unit is None:
                # Its live exchange was stored before the outcome, so the unit's first exposure is known.
                unit = self._open[outcome.unit] = _OpenUnit(self._exposed[outcome.unit], outcome.at)
            self._add_to_unit(unit, outcome)

    def _add_to_unit(self, unit: _OpenUnit, outcome: Outcome) -> None:
        if outcome.pair not in unit.pairs and len(unit.pairs) >= self._policy.unit_cap:
            return
        unit.pairs[outcome.pair] = None
        unit.last_at = max(unit.last_at, outcome.at)
        for slice_ in (ALL, *self._slices(outcome)):
            key = Key(outcome.metric, slice_)
            sums = unit.sums.setdefault(key, [0.0, 0])
            sums[0] += outcome.value
            sums[1] += 1
            self.pair_counts.setdefault(key, PairCounts()).add(outcome)

    def _slices(self, outcome: Outcome) -> Iterable[str]:
        for attribute in self._attributes:
            value = outcome.slices.get(attribute)
            if value is None:
                continue
            known = self.slice_values[attribute]
            if value not in known and len(known) < MAX_SLICE_VALUES:
                known.append(value)
            yield f"{attribute}={value if value in known else 'other'}"

    # --- closing ------------------------------------------------------------------------------------------------------

    def close_units(self, now: float) -> int:
        """Take the observation of every unit that is quiet or at its cap; returns how many."""
        policy = self._policy
        ripe = [
            name
            for name, unit in self._open.items()
            if len(unit.pairs) >= policy.unit_cap or now - unit.last_at >= policy.settle_seconds
        ]
        self.closing.clear()
        for name in ripe:
            self._close(name, self._open.pop(name))
        return len(ripe)

    def _close(self, name: str, unit: _OpenUnit) -> None:
        self._closed.add(name)
        self.units_by_stage[unit.exposure.stage] += 1
        _count(self.analysed, unit.exposure)
        for key, (total, count) in unit.sums.items():
            mean = total / count
            if key.metric in RATIOS:
                self.moments.setdefault(key, Moments()).add(mean)
            else:
                self.differences.setdefault(key, Counter())[mean] += 1
                if key.slice == ALL:
                    self.closing.append((key.metric, mean))

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def units(self) -> int:
        """Units analysed so far."""
        return len(self._closed)

    def slices(self) -> list[str]:
        """Return all slices met, in order of appearance."""
        found = [f"{a}={v}" for a, values in self.slice_values.items() for v in values]
        full = [a for a, values in self.slice_values.items() if len(values) == MAX_SLICE_VALUES]
        return found + [f"{attribute}=other" for attribute in full]

    def snapshot(self) -> dict[str, Any]:
        """Return the state as plain data, stored with each look."""
        return {
            "differences": [[*k, sorted(c.items())] for k, c in self.differences.items()],
            "moments": [[*k, m.n, m.mean, m.m2] for k, m in self.moments.items()],
            "events": [[metric, sorted([*k, n] for k, n in c.items())] for metric, c in self.events.items()],
            "exposures": [[*k, *v] for k, v in self.exposures.items()],
            "analysed": [[*k, *v] for k, v in self.analysed.items()],
            "shadows": self.shadows,
            "units": self.units,
            "open_units": len(self._open),
            "live": self.live,
        }


def _exposure(stored: StoredExchange) -> _Exposure:
    exchange = stored.exchange
    share = exchange.propensity if exchange.assigned == TREATMENT else 1 - exchange.propensity
    return _Exposure(exchange.stage, round(share * 10_000), exchange.assigned)


def _count(table: dict[tuple[int, int], list[int]], exposure: _Exposure) -> None:
    counts = table.setdefault((exposure.stage, exposure.split), [0, 0])
    counts[exposure.assigned == TREATMENT] += 1
