"""Everything that is known of how an experiment stands: what the reader gives and what the summary is made of."""

from __future__ import annotations

import msgspec

from experiments.config.records import Experiment
from experiments.evidence import Decision, Evidence
from experiments.golden.store import Gate, GoldenRun
from experiments.model import Phase
from experiments.spending.account import Account
from experiments.stored import Epoch, Look, RouteState, Transition

_SECONDS_PER_DAY = 86_400


class DailyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's quality on one day (UTC), of one variant in one slice."""

    day: str
    metric: str
    slice: str
    variant: str
    pairs: int
    mean: float | None
    macro_f1: float | None
    win_rate: float | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment right now."""

    experiment: Experiment
    """As its epoch has it."""
    state: RouteState | None
    """None: the controller has not seen it yet."""
    epoch: Epoch | None
    look: Look | None
    """The newest of the epoch."""
    transitions: tuple[Transition, ...]
    """Of all epochs, in order."""
    golden: GoldenRun | None
    """The newest golden run of the epoch."""
    gate: Gate | None
    power_uncertainty_percent: float | None = None
    """Of energy and carbon, the larger one of both backends; None if neither has its power configured."""
    concurrencies: tuple[float, float] | None = None
    """Answers that control's and the treatment's machine work on at a time; None unless both are configured."""
    account: Account | None = None
    """What the epoch's answers used, as far as they have been added up; None where that is not shown."""

    @property
    def phase(self) -> Phase:
        """Where it is in its life."""
        return self.state.route.phase if self.state is not None else Phase.DRAFT

    @property
    def evidence(self) -> Evidence | None:
        """What the newest look saw."""
        return self.look.evidence if self.look is not None else None

    @property
    def decision(self) -> Decision | None:
        """What the newest look decided."""
        return self.look.decision if self.look is not None else None

    @property
    def cause(self) -> Transition | None:
        """The transition that led to the present phase; None if nothing is recorded of it."""
        number = self.state.route.epoch if self.state is not None else 0
        changes = [t for t in self.transitions if t.epoch == number and t.from_phase is not t.to_phase]
        return changes[-1] if changes and changes[-1].to_phase is self.phase else None

    @property
    def days_run(self) -> float | None:
        """How many days the epoch has run, by a steady clock where there is one; None before the first look."""
        evidence = self.evidence
        if evidence is None or self.state is None:
            return None
        if evidence.elapsed is not None:
            return evidence.elapsed.epoch_s / _SECONDS_PER_DAY
        return max(0.0, evidence.at - self.state.epoch_started_at) / _SECONDS_PER_DAY
