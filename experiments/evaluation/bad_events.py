"""Bad events of units, as flips of the coin that assigned them: errors, thumbs down. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from experiments.model import TREATMENT


class Flip(NamedTuple):
    """One bad event: which arm it fell to, and with which chance the unit was the treatment's."""

    metric: str
    share: float
    """Of the treatment, in (0, 1)."""
    arm: int
    """1 is the treatment."""


class BadEvents:
    """Counts the first bad event of every unit, by metric.

    Args:
        metrics: Those that are there from the start, without any event.
    """

    __slots__ = ("_struck", "_struck_late", "counts", "late", "watching")

    def __init__(self, metrics: Iterable[str]) -> None:
        self._struck: set[tuple[str, str]] = set()
        self._struck_late: set[tuple[str, str]] = set()
        self.counts: dict[str, Counter[tuple[float, int]]] = {metric: Counter() for metric in metrics}
        """Metric -> (the treatment's share, arm) -> events."""
        self.watching = False
        """Whether late harm is watched for: then the first event of a unit *since* counts there."""
        self.late: list[Flip] = []
        """Of the present look, in order."""

    def __repr__(self) -> str:
        return f"<BadEvents of {len(self._struck)} units>"

    def begin_look(self, *, watching: bool) -> None:
        """Forget the flips of the look before."""
        self.watching = watching
        self.late.clear()

    def strike(self, metric: str, unit: str, assigned: str, propensity: float) -> None:
        """Count a bad event: the first of a unit only, and only while both variants had a chance."""
        if not 0 < propensity < 1:
            return
        treatment = assigned == TREATMENT
        share, arm = round(propensity if treatment else 1 - propensity, 4), int(treatment)
        if self.watching and _first(self._struck_late, (metric, unit)):
            self.late.append(Flip(metric, share, arm))
        if _first(self._struck, (metric, unit)):
            self.counts.setdefault(metric, Counter())[share, arm] += 1


def _first(struck: set[tuple[str, str]], key: tuple[str, str]) -> bool:
    """Whether a key is new; it is not the next time."""
    if key in struck:
        return False
    struck.add(key)
    return True
