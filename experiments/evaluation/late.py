"""The watch after a promotion: one e-detector for every guardrail, on pairs and on bad events. Pure.

All of them together raise one false alarm in `late_alarm_units` units on average: each has its share of the rate. Bad
events are counted in events, of which a unit has one at most: as many units have passed by then, or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.e_detector import EDetector, alarm_threshold, difference_increments, event_increments
from experiments.config.records import Experiment, Guardrail
from experiments.evaluation.bad_events import Flip
from experiments.evaluation.counts import ALL
from experiments.evaluation.weights import margins
from experiments.evidence import Kind, Late


class _Watched(NamedTuple):
    guardrail: Guardrail
    kind: Kind


class LateWatch:
    """The detectors of one experiment's epoch.

    Args:
        experiment: Its guardrails are watched: those with a margin on pairs, those with `max_relative` on bad events,
            as long as there is a holdback that these could fall to.
    """

    __slots__ = ("_alarm_units", "_detectors", "_watched")

    def __init__(self, experiment: Experiment) -> None:
        self._alarm_units = experiment.policy.late_alarm_units
        held_back = experiment.policy.holdback_percent > 0
        self._watched = [
            *(_Watched(g, Kind.PAIRED) for g in experiment.guardrails if g.margin is not None),
            *(_Watched(g, Kind.EVENT) for g in experiment.guardrails if g.max_relative is not None and held_back),
        ]
        self._detectors: dict[tuple[str, Kind], EDetector] = {}

    def __repr__(self) -> str:
        return f"<LateWatch over {len(self._watched)}>"

    def begin_anew(self, metric: str) -> None:
        """Forget the pairs of a metric: its scorer has changed."""
        self._detectors.pop((metric, Kind.PAIRED), None)

    def rows(self, differences: Sequence[tuple[str, float]], flips: Sequence[Flip], rules: int) -> Iterator[Late]:
        """Feed what is new to the detectors, and say how they stand.

        Args:
            differences: (metric, mean difference) of the units that have just been closed, in order.
            flips: Bad events that have just come, in order.
            rules: Version of the rules by which the look counts; the first did not watch events.
        """
        watched = [one for one in self._watched if one.kind is Kind.PAIRED or rules >= 2]
        for guardrail, kind in watched:
            detector = self._detectors.get((guardrail.name, kind), EDetector())
            detector = _fed_pairs(detector, guardrail, differences) if kind is Kind.PAIRED else detector
            detector = _fed_events(detector, guardrail, flips) if kind is Kind.EVENT else detector
            self._detectors[guardrail.name, kind] = detector
            threshold = alarm_threshold(self._alarm_units * len(watched))
            yield Late(metric=guardrail.name, kind=kind, units=detector.n, peak=detector.peak, threshold=threshold)


def _fed_pairs(detector: EDetector, guardrail: Guardrail, differences: Sequence[tuple[str, float]]) -> EDetector:
    new = [value for metric, value in differences if metric == guardrail.name]
    if not new:
        return detector
    _, tolerance = margins(guardrail, ALL)
    return detector.after(difference_increments(new, -tolerance, "harm"))


def _fed_events(detector: EDetector, guardrail: Guardrail, flips: Sequence[Flip]) -> EDetector:
    new = [flip for flip in flips if flip.metric == guardrail.name]
    if not new:
        return detector
    shares, arms = [flip.share for flip in new], [flip.arm for flip in new]
    return detector.after(event_increments(shares, arms, guardrail.max_relative or 1.0))
