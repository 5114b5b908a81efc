"""The running sufficient statistics of one experiment's epoch: exchanges and outcomes in, counts out. Pure.

Randomisation is by unit (a user, a conversation), so one unit gives **one** observation per metric and slice: the mean
over its pairs, taken when the unit has been quiet for `settle_seconds` or has reached `unit_cap` pairs, and never
changed afterwards. Treating requests as independent would be wrong by far: 20 % false alarms at 50 requests a user
where 5 % were promised.

Everything is a count, a histogram or a moment, so that a look costs the same however long an experiment runs. Folding
the same rows with the same looks gives the same ledger to the last bit: that is how a decision is replayed.

Of slices that are mirrored more than the rest (`mirror_slices`), a pair counts over all traffic only if it would have
been mirrored in any case: the draw is read off its id. So each slice, and the whole, sees a uniform sample of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from experiments.config.records import Experiment, Guardrail, Monitor
from experiments.evaluation.bad_events import BadEvents
from experiments.evaluation.counts import ALL, Exposure, Key, Moments, PairCounts
from experiments.evaluation.durations import Durations
from experiments.evaluation.feedback_votes import FeedbackVotes
from experiments.evaluation.lanes import FIRST, Lane, OpenUnit
from experiments.evaluation.metric_versions import Change, MetricVersions
from experiments.evaluation.recent import RecentRequests
from experiments.evidence import RULES
from experiments.mirroring import drawn
from experiments.model import MISSING_SHADOW, TREATMENT, Role
from experiments.scoring.experiment_scorer import ERRORS
from experiments.scoring.operational import RATIOS
from experiments.scoring.sides import failed
from experiments.store import Outcome, StoredExchange, StoredFeedback

MAX_SLICE_VALUES = 16
"""Values of a slice attribute that are followed one by one, in order of appearance; further ones count as `other`."""
Strata = dict[tuple[int, int], list[int]]
"""(stage, split in basis points) -> units of [control, treatment]."""


class Ledger:
    """The statistics' state of one experiment's epoch.

    Args:
        experiment: Its policy says how units are closed; its slices, what is followed.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._policy = experiment.policy
        self._attributes = tuple(s.attribute for s in experiment.slices)
        self._base_percent = experiment.mirror_percent
        self._boosted = {s: percent for s, percent in experiment.mirror_slices.items() if percent > self._base_percent}
        metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
        self.feedback_metrics = tuple(metric.name for metric in metrics if metric.feedback)
        self._votes = FeedbackVotes(
            self.feedback_metrics, self._policy.settle_seconds, experiment.feedback_window_hours * 3_600
        )
        self._now, self._rules = 0.0, RULES
        self._lanes: dict[str, Lane] = {FIRST: Lane(self._policy)}
        self._exposed: dict[str, Exposure] = {}
        self._answered: set[tuple[str, str]] = set()
        self.versions = MetricVersions()
        self.bad_events = BadEvents([ERRORS])
        self.differences: dict[Key, Counter[float]] = {}
        self.moments: dict[Key, Moments] = {}
        self.pair_counts: dict[Key, PairCounts] = {}
        self.failed: Counter[Key] = Counter()
        """Pairs whose scorer could not say anything."""
        self.exposures: Strata = {}
        self.analysed: Strata = {}
        self.answered: dict[str, Strata] = {}
        """Feedback metric -> units with feedback."""
        self.shadows: dict[str, list[int]] = {}
        self.slice_values: dict[str, list[str]] = {attribute: [] for attribute in self._attributes}
        self.live = 0
        self.served_by_treatment = 0
        self.units = 0
        """Units analysed so far."""
        self.units_by_stage: Counter[int] = Counter()
        self.closing: list[tuple[str, float]] = []
        """(metric, mean difference) of the units that were closed last, in order, over all traffic."""
        self.begun_anew: list[str] = []
        """Metrics that another version of their scorer has begun anew in this look."""
        self.recent = RecentRequests(experiment.trips.window_s)
        self.durations = Durations()

    def begin_look(self, now: float, *, promoted: bool = False, rules: int = RULES) -> None:
        """Say as of when rows are folded from here on.

        Args:
            now: Wall-clock time of the look in seconds since the epoch.
            promoted: Whether late harm is watched for.
            rules: Version of the rules by which the look counts; smaller for a look of an earlier version.
        """
        self._now, self._rules = now, rules
        self.bad_events.begin_look(watching=promoted)
        self.begun_anew.clear()

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
            self.durations.add(stored)

    def _add_live(self, stored: StoredExchange) -> None:
        exchange = stored.exchange
        self.live += 1
        self.served_by_treatment += exchange.served == TREATMENT
        if exchange.unit not in self._exposed:
            exposure = self._exposed[exchange.unit] = _exposure(stored)
            _count(self.exposures, exposure)
        if failed(stored):
            self.bad_events.strike(ERRORS, exchange.unit, exchange.assigned, exchange.propensity)

    def _add_shadow(self, stored: StoredExchange) -> None:
        counts = self.shadows.setdefault(stored.exchange.assigned, [0, 0])
        counts[0] += stored.exchange.error not in MISSING_SHADOW
        counts[1] += 1

    def add_feedback(self, feedback: Iterable[StoredFeedback]) -> None:
        """Fold feedback: a value of 0 (false, thumb down) is a bad event of the unit, once the vote has settled."""
        if self._rules < 2:
            settled = self._votes.at_once(feedback)
        else:
            self._votes.add(feedback, self._now)
            settled = self._votes.settled(self._now)
        for vote in settled:
            if (vote.metric, vote.unit) not in self._answered:
                self._answered.add((vote.metric, vote.unit))
                _count(self.answered.setdefault(vote.metric, {}), self._exposed[vote.unit])
            if vote.value <= 0:
                self.bad_events.strike(vote.metric, vote.unit, vote.assigned, vote.propensity)

    def add_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Fold the outcomes of pairs in the order of the store."""
        for outcome in outcomes:
            change = self.versions.take(outcome, self._now, anew=self._rules >= 2)
            if change is Change.FORMER:
                continue
            if change is Change.ANEW:
                self._begin_anew(outcome.metric)
            self._add_outcome(outcome)

    def _begin_anew(self, metric: str) -> None:
        """Forget a metric: its scorer has changed, and figures of two scorers are not to be mixed."""
        tables: tuple[dict[Key, Any], ...] = (self.differences, self.moments, self.pair_counts, self.failed)
        for table in tables:
            for key in [key for key in table if key.metric == metric]:
                del table[key]
        self._lanes[FIRST].drop(metric)
        self._lanes[metric] = Lane(self._policy)
        self.begun_anew.append(metric)

    def _add_outcome(self, outcome: Outcome) -> None:
        version = self.versions.of(outcome.metric)
        name = version.lane if version else FIRST
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(self._policy)
        # Its live exchange was stored before the outcome, so the unit's first exposure is known.
        exposure = self._exposed[outcome.unit]
        if name != FIRST and outcome.scored_at is None:
            self._touch(outcome, exposure)
        unit = lane.unit_of(outcome, exposure, outcome.at if name == FIRST else self._came_at(outcome))
        if unit is not None:
            self._add_to_unit(unit, outcome)

    def _came_at(self, outcome: Outcome) -> float:
        # Rescored pairs are old, and come all the same now: their unit is quiet when no more of them come.
        return max(outcome.at, self._now) if outcome.scored_at is None else outcome.scored_at

    def _touch(self, outcome: Outcome, exposure: Exposure) -> None:
        """Let a pair be one of the first lane, though this metric of it has a lane of its own: it is analysed."""
        unit = self._lanes[FIRST].unit_of(outcome, exposure, outcome.at)
        if unit is not None:
            for slice_ in self._counted_in(outcome):
                unit.takes(slice_, outcome.pair, self._policy.unit_cap)

    def _add_to_unit(self, unit: OpenUnit, outcome: Outcome) -> None:
        for slice_ in self._counted_in(outcome):
            if not unit.takes(slice_, outcome.pair, self._policy.unit_cap):
                continue
            key = Key(outcome.metric, slice_)
            if outcome.failure:
                self.failed[key] += 1
                continue
            unit.add(key, outcome.value)
            counts = self.pair_counts.get(key)
            if counts is None:
                counts = self.pair_counts[key] = PairCounts()
            counts.add(outcome)

    def _counted_in(self, outcome: Outcome) -> Iterator[str]:
        """Yield the slices in which a pair counts: those that it would have been mirrored for."""
        if not self._boosted:
            yield ALL
            yield from self._slices(outcome)
            return
        draw = drawn(outcome.pair)
        if draw < self._base_percent:
            yield ALL
        for slice_ in self._slices(outcome):
            if draw < self._boosted.get(slice_, self._base_percent):
                yield slice_

    def _slices(self, outcome: Outcome) -> Iterator[str]:
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
        """Take the observation of every unit that is quiet or at its cap; returns how many, over all lanes."""
        self.closing.clear()
        ripe = 0
        for name, lane in self._lanes.items():
            for unit in lane.close(now):
                ripe += 1
                if name == FIRST and unit.is_counted:
                    self.units += 1
                    self.units_by_stage[unit.exposure.stage] += 1
                    _count(self.analysed, unit.exposure)
                self._observe(unit)
        return ripe

    def _observe(self, unit: OpenUnit) -> None:
        for key, mean in unit.means():
            if key.metric in RATIOS:
                self.moments.setdefault(key, Moments()).add(mean)
            else:
                self.differences.setdefault(key, Counter())[mean] += 1
                if key.slice == ALL:
                    self.closing.append((key.metric, mean))

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def events(self) -> dict[str, Counter[tuple[float, int]]]:
        """Metric -> (the treatment's share, arm) -> units with a bad event."""
        return self.bad_events.counts

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
            "answered": [[metric, *k, *v] for metric, strata in self.answered.items() for k, v in strata.items()],
            "shadows": self.shadows,
            "failed": [[*k, n] for k, n in self.failed.items()],
            "versions": [[metric, *version] for metric, version in self.versions.all().items()],
            "units": self.units,
            "open_units": self._lanes[FIRST].open_units,
            "lanes": {name: [lane.open_units, lane.closed_units] for name, lane in self._lanes.items() if name},
            "live": self.live,
            "durations": self.durations.snapshot(),
        }


def _exposure(stored: StoredExchange) -> Exposure:
    exchange = stored.exchange
    share = exchange.propensity if exchange.assigned == TREATMENT else 1 - exchange.propensity
    return Exposure(exchange.stage, round(share * 10_000), exchange.assigned)


def _count(table: Strata, exposure: Exposure) -> None:
    counts = table.setdefault((exposure.stage, exposure.split), [0, 0])
    counts[exposure.assigned == TREATMENT] += 1


__all__ = ["ALL", "ERRORS", "MAX_SLICE_VALUES", "RATIOS", "Key", "Ledger", "Moments", "PairCounts", "Strata"]
