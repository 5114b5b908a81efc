"""What follows from the gate: an experiment that waits begins, and one that runs is paused if its golden set fails."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from experiments.config.records import Experiment
from experiments.golden.gate import FAILED, Gatekeeper, needs_golden
from experiments.golden.store import GuardStore
from experiments.lifecycle import compare_control_with_itself, start, transition
from experiments.model import Phase, Route
from experiments.operating import Command, obey
from experiments.store import RouteState, Store

_log = structlog.get_logger(__name__)
ACTOR = "gate"


class Gatehouse:
    """Stores what the gatekeeper finds, and moves experiments by it.

    Args:
        store: Where routes are.
        keeper: Asks backends and runs golden sets.
    """

    def __init__(self, store: Store, keeper: Gatekeeper) -> None:
        self._store = store
        self._guards = GuardStore(store.engine)
        self._keeper = keeper
        self._said: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return f"<Gatehouse {self._keeper}>"

    def visit(self, experiment: Experiment, state: RouteState, now: float) -> bool:
        """Do what is due at the gate of one experiment; returns whether it began just now."""
        if state.route.phase is Phase.GATED:
            return self._open(experiment, state, now)
        if state.route.phase is Phase.RUNNING and needs_golden(experiment):
            self._check(experiment, state, now)
        return False

    def begin_aa(self, experiment: Experiment, state: RouteState, now: float) -> bool:
        """Begin an A/A run as soon as the backends answer; returns whether it began just now."""
        # Its golden set is the treatment's affair, which has no part in this.
        gate = experiment.gate.model_copy(update={"golden": False})
        missing = self._keeper.waits_for(experiment.model_copy(update={"gate": gate}), state.route.epoch, now)
        if self.say(experiment.name, state.route.epoch, now, missing):
            _log.info("gate", experiment=experiment.name, waits_for=missing)
        if missing:
            return False
        reason = f"the backends answer; first an A/A run over {gate.aa_units} units, in which control answers everyone"
        return self._begin(state, compare_control_with_itself(experiment, state.route), now, reason)

    def say(self, name: str, epoch: int, now: float, missing: Sequence[str]) -> bool:
        """Keep what an experiment waits for, for those who ask; returns whether that is news."""
        if missing == self._said.get(name):
            return False
        self._guards.put_gate(name, epoch, now, missing)
        self._said[name] = list(missing)
        return True

    def _open(self, experiment: Experiment, state: RouteState, now: float) -> bool:
        name, epoch = experiment.name, state.route.epoch
        missing = self._keeper.waits_for(experiment, epoch, now)
        if self.say(name, epoch, now, missing):
            _log.info("gate", experiment=name, waits_for=missing)
        if missing:
            return False
        runs = self._guards.runs(name, epoch) if needs_golden(experiment) else []
        reason = f"the backends answer; the golden set: {runs[-1].summary}" if runs else "the backends answer"
        return self._begin(state, start(experiment, epoch, state.route.exposed), now, reason)

    def _begin(self, state: RouteState, route: Route, now: float, reason: str) -> bool:
        begun = RouteState(route=route, epoch_started_at=now, stage_started_at=now)
        return self._store.move(state.route, transition(state.route, route, at=now, actor=ACTOR, reason=reason), begun)

    def _check(self, experiment: Experiment, state: RouteState, now: float) -> None:
        self._keeper.run_again(experiment, state.route.epoch, now)
        runs = self._guards.runs(experiment.name, state.route.epoch)
        if not runs or runs[-1].result != FAILED:
            return
        since = self._store.transitions(experiment.name)[-1].at
        if runs[-1].at <= since:
            return  # somebody has seen it, and resumed
        route = obey(experiment, state.route, Command.PAUSE)
        reason = f"the golden set, sent again: {runs[-1].summary}"
        paused = RouteState(
            route=route, epoch_started_at=state.epoch_started_at, stage_started_at=state.stage_started_at
        )
        if self._store.move(state.route, transition(state.route, route, at=now, actor=ACTOR, reason=reason), paused):
            _log.warning("paused", experiment=experiment.name, reason=reason)
