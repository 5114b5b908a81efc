"""What follows from the gate: an experiment that waits begins, and one that runs is paused if its golden set fails."""

from __future__ import annotations

import structlog

from experiments.config.records import Experiment
from experiments.golden.gate import FAILED, Gatekeeper, needs_golden
from experiments.golden.store import GuardStore
from experiments.lifecycle import start, transition
from experiments.model import Phase
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

    def _open(self, experiment: Experiment, state: RouteState, now: float) -> bool:
        name, epoch = experiment.name, state.route.epoch
        missing = self._keeper.waits_for(experiment, epoch, now)
        if missing != self._said.get(name):
            self._guards.put_gate(name, epoch, now, missing)
            self._said[name] = missing
            _log.info("gate", experiment=name, waits_for=missing)
        if missing:
            return False
        runs = self._guards.runs(name, epoch) if needs_golden(experiment) else []
        reason = f"the backends answer; the golden set: {runs[-1].summary}" if runs else "the backends answer"
        route = start(experiment, epoch)
        opened = RouteState(route=route, epoch_started_at=now, stage_started_at=now)
        return self._store.move(state.route, transition(state.route, route, at=now, actor=ACTOR, reason=reason), opened)

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
