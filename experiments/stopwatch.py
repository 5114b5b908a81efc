"""How long an epoch and its stage have run, whatever the wall clock does meanwhile.

A clock that jumps an hour ahead must not shorten the time that a stage lasts, and one that jumps back must not stop the
looks. So progress is added up from a steady clock while the controller runs; only the gap between two runs of it is
taken from the wall clock, and never as less than nothing. What was read is stored with each look: a replay takes it
from there.
"""

from __future__ import annotations

from experiments.evidence import Elapsed


class Stopwatch:
    """Measures one epoch.

    Args:
        before: How long it has run already.
        stage: In which stage it is.
        steady_s: The steady clock now, in seconds.
    """

    __slots__ = ("_before", "_stage", "_steady_s")

    def __init__(self, before: Elapsed, stage: int, steady_s: float) -> None:
        self._before = before
        self._stage = stage
        self._steady_s = steady_s

    def __repr__(self) -> str:
        return f"<Stopwatch {self._before.epoch_s:g} s [stage {self._stage}]>"

    def read(self, stage: int, steady_s: float) -> Elapsed:
        """Return how long the epoch and its present stage have run.

        >>> watch = Stopwatch(Elapsed(epoch_s=100.0, stage_s=40.0), 0, steady_s=7.0)
        >>> watch.read(0, 17.0)
        Elapsed(epoch_s=110.0, stage_s=50.0)
        >>> watch.read(1, 17.0)  # the stage began with the look before
        Elapsed(epoch_s=110.0, stage_s=10.0)
        """
        passed_s = steady_s - self._steady_s
        stage_s = self._before.stage_s if stage == self._stage else 0.0
        return Elapsed(epoch_s=self._before.epoch_s + passed_s, stage_s=stage_s + passed_s)

    def go_on(self, elapsed: Elapsed, stage: int, steady_s: float) -> None:
        """Note what was read, once its look is stored."""
        self._before, self._stage, self._steady_s = elapsed, stage, steady_s


def resumed(before: Elapsed, at: float, now: float, *, same_stage: bool = True) -> Elapsed:
    """Return the time so far of a controller that takes up where another one ended.

    Args:
        before: Of the last look.
        at: When that look was taken, by the wall clock.
        now: By the wall clock; that it was set back meanwhile counts as no time at all.
        same_stage: Whether the stage has been the same since.
    """
    gap_s = max(0.0, now - at)
    return Elapsed(epoch_s=before.epoch_s + gap_s, stage_s=(before.stage_s if same_stage else 0.0) + gap_s)
