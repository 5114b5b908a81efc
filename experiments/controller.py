"""The loop that closes: record, score, evaluate, decide, transition. One `tick(now)` does each once.

The controller alone writes decisions. A tick is a row of transactions, each complete in itself, so it may be killed
between any two; on the next start every look of the epoch is folded again from the stored rows, which also proves that
what is stored explains what was decided.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from experiments.attempts import attempt_of, candidate_of, for_attempt
from experiments.config import Config, Experiment, config_hash
from experiments.decision import Progress, decide
from experiments.erasure import Eraser
from experiments.evaluation import Evaluator
from experiments.evidence import Decision, Elapsed, Shed
from experiments.explain import action_word, sentence
from experiments.golden.gate import Gatekeeper, needs_golden
from experiments.golden.gatehouse import Gatehouse
from experiments.journal_status import ShedWatch
from experiments.leadership import Leadership
from experiments.lifecycle import start, step, transition, wait
from experiments.model import Phase, Route
from experiments.recorder import Recorder
from experiments.replay import refold, rows_between
from experiments.scoring import score_pending, scorers_of
from experiments.stopwatch import Stopwatch, resumed
from experiments.store import Epoch, Look, RouteState, Store, Transition, Watermarks
from experiments.telling.alerts import Alerts

_log = structlog.get_logger(__name__)


class Controller:
    """Carries the configured experiments through.

    Args:
        config: What to run.
        store: Migrated.
        recorder: Reads the journal that the proxies write.
        alerts: Tells people what happens; nobody is told unless given.
        leadership: Of several controllers on one store, only the one that leads does anything; without it, this one
            does in any case.
        gatekeeper: Asks backends and runs golden sets; without it, experiments have no gate.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        recorder: Recorder,
        *,
        alerts: Alerts | None = None,
        leadership: Leadership | None = None,
        gatekeeper: Gatekeeper | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._recorder = recorder
        self._alerts = alerts
        self._leadership = leadership
        self._gatehouse = Gatehouse(store, gatekeeper) if gatekeeper is not None else None
        self._experiments: dict[str, Experiment] = {}
        """As they are judged in this epoch: a retry has less alpha, and a salt of its own."""
        self._eraser = Eraser(config, store)
        self._shed_watch = ShedWatch(Path(config.router.journal))
        self._scorers = scorers_of(config)
        self._evaluators: dict[str, Evaluator] = {}
        self._seen: dict[str, Watermarks] = {}
        self._epochs: dict[str, int] = {}
        self._watches: dict[str, Stopwatch] = {}
        self._last_look = float("-inf")

    def start(self, now: float, steady_s: float | None = None) -> None:
        """Bring the schema up to date, begin new experiments and epochs, and take up those that were running.

        Args:
            now: By the wall clock.
            steady_s: By a clock that never jumps; the same as `now` unless given.
        """
        self._store.migrate()
        for experiment in self._config.experiments.values():
            digest = config_hash(experiment, self._config.backends)
            epoch = self._store.latest_epoch(experiment.name)
            if epoch is None or epoch.config_hash != digest:
                epoch = self._begin_epoch(experiment, digest, epoch, now)
            self._experiments[experiment.name] = for_attempt(experiment, epoch.attempt)
            self._take_up(self._experiments[experiment.name], epoch.number)
            self._watches[experiment.name] = self._watch(experiment.name, now, now if steady_s is None else steady_s)

    def _watch(self, name: str, now: float, steady_s: float) -> Stopwatch:
        state, look = self._store.route_states()[name], self._store.latest_look(name, self._epochs[name])
        stage = state.route.stage
        if look is None:
            nothing = Elapsed(epoch_s=0.0, stage_s=0.0)
            return Stopwatch(resumed(nothing, state.epoch_started_at, now), stage, steady_s)
        same = look.stage == stage
        earlier = Elapsed(epoch_s=look.at - state.epoch_started_at, stage_s=look.at - state.stage_started_at)
        return Stopwatch(resumed(look.evidence.elapsed or earlier, look.at, now, same_stage=same), stage, steady_s)

    def _begin_epoch(self, configured: Experiment, digest: str, previous: Epoch | None, now: float) -> Epoch:
        number = previous.number + 1 if previous else 1
        candidate = candidate_of(configured, self._config.backends)
        name = configured.name
        attempt = attempt_of(candidate, self._store.epochs(name), self._store.transitions(name))
        experiment = for_attempt(configured, attempt)
        epoch = Epoch(
            experiment=experiment.name,
            number=number,
            config_hash=digest,
            config=experiment.model_dump(mode="json"),
            started_at=now,
            candidate=candidate,
            attempt=attempt,
        )
        gated = self._gatehouse is not None and (experiment.gate.healthy or needs_golden(experiment))
        route = wait(experiment, number) if gated else start(experiment, number)
        begun = Transition(
            experiment=experiment.name,
            epoch=number,
            look=None,
            at=now,
            actor="config",
            from_phase=Phase.DRAFT,
            to_phase=route.phase,
            from_stage=0,
            to_stage=0,
            split_basis_points=route.split_basis_points,
            reason="first epoch" if previous is None else "the configuration changed: nothing of before counts",
        )
        self._store.begin_epoch(epoch, RouteState(route=route, epoch_started_at=now, stage_started_at=now), begun)
        _log.info("epoch_started", experiment=name, epoch=number, attempt=attempt, phase=route.phase.value)
        return epoch

    def _take_up(self, experiment: Experiment, epoch: int) -> None:
        self._epochs[experiment.name] = epoch
        evaluator = Evaluator(experiment, epoch)
        self._seen[experiment.name] = refold(self._store, evaluator)
        self._evaluators[experiment.name] = evaluator

    def _taken(self, experiment: Experiment) -> Evaluator:
        """Take the evaluator out for a look: should that fail half-way, the next one starts from what is stored."""
        if experiment.name not in self._evaluators:
            self._take_up(experiment, self._epochs[experiment.name])
        return self._evaluators.pop(experiment.name)

    def tick(self, now: float, steady_s: float | None = None) -> list[Decision]:
        """Do everything that is due; returns the decisions of the looks that were taken.

        Args:
            now: By the wall clock, as the proxies see it.
            steady_s: By a clock that never jumps; the same as `now` unless given.
        """
        try:
            return self._advance(now, now if steady_s is None else steady_s)
        finally:
            # Even if something failed: what has happened is told, and telling it never fails.
            if self._alerts is not None:
                self._alerts.tick(now, self._epochs)

    def _advance(self, now: float, steady_s: float) -> list[Decision]:
        self._recorder.record()
        score_pending(self._store, self._scorers)
        self._eraser.erase(now)
        if steady_s - self._last_look < self._config.router.look_interval_s:
            return []
        self._last_look = steady_s
        self._visit_gates(now, steady_s)
        shed = self._shed_watch.read()
        decisions = [
            decision for name in self._epochs if (decision := self._look(name, now, steady_s, shed)) is not None
        ]
        # Only now: had a look failed, the next one must still hear of it.
        self._shed_watch.settle()
        return decisions

    def _visit_gates(self, now: float, steady_s: float) -> None:
        if self._gatehouse is None:
            return
        states = self._store.route_states()
        for name in self._epochs:
            if self._gatehouse.visit(self._experiments[name], states[name], now):
                # What it waited for is no time in which it was tried.
                self._watches[name] = Stopwatch(Elapsed(epoch_s=0.0, stage_s=0.0), 0, steady_s)

    def _look(self, name: str, now: float, steady_s: float, shed: Shed) -> Decision | None:
        state = self._store.route_states()[name]
        if not _is_watched(state.route):
            return None
        experiment = self._experiments[name]
        evaluator = self._taken(experiment)
        seen, upto = self._seen[name], self._store.watermarks()
        evidence = evaluator.look(
            now, state.route.stage, state.route.phase, *rows_between(self._store, evaluator, seen, upto)
        )
        elapsed = self._watches[name].read(state.route.stage, steady_s)
        evidence = msgspec.structs.replace(evidence, shed=shed, elapsed=elapsed)
        progress = Progress(state.route.stage, elapsed.epoch_s, elapsed.stage_s)
        decision = decide(evidence, experiment, progress)
        look = Look(
            experiment=name,
            epoch=evaluator.epoch,
            number=evidence.look,
            at=now,
            stage=state.route.stage,
            exchange_seq=upto.exchange,
            outcome_seq=upto.outcome,
            feedback_seq=upto.feedback,
            evidence=evidence,
            decision=decision,
            state=evaluator.ledger.snapshot(),
        )
        if not self._still_leads():
            return None
        self._save(experiment, state, look)
        self._evaluators[name], self._seen[name] = evaluator, upto
        self._watches[name].go_on(elapsed, state.route.stage, steady_s)
        if self._alerts is not None:
            self._alerts.saw(look)
        return decision

    def _still_leads(self) -> bool:
        """Whether a look may be stored: a tick can take long, and another one may have been made leader during it."""
        return self._leadership is None or self._leadership.still_leads()

    def _save(self, experiment: Experiment, state: RouteState, look: Look) -> None:
        after = step(experiment, state.route, look.decision)
        if after is None:
            self._store.save_look(look)
            return
        said = "; ".join(sentence(reason) for reason in look.decision.reasons)
        change = transition(state.route, after, at=look.at, actor="controller", reason=said, look=look.number)
        moved = RouteState(route=after, epoch_started_at=state.epoch_started_at, stage_started_at=look.at)
        # Should somebody have paused it just now, the next tick decides again, on what is so then.
        self._store.save_look(look, change, moved, before=state.route)
        _log.warning(
            action_word(look.decision.action).replace(" ", "_"),
            experiment=experiment.name,
            split_percent=after.split_basis_points / 100,
            reason=change.reason,
        )

    def run(self, stop: Any, interval_s: float = 0.5) -> None:
        """Tick until `stop` (a `threading.Event`) is set. What fails is logged and tried again at the next tick.

        While another controller leads, nothing is done; what it has written is taken up by starting again.
        """
        started, trouble = False, ""
        while not stop.is_set():
            try:
                started = started and (self._leadership is None or self._leadership.leads)
                leads = self._leadership is None or self._leadership.try_lead()
                if leads and not started:
                    self.start(time.time(), time.monotonic())
                started = leads
                if leads:
                    self.tick(time.time(), time.monotonic())
                trouble = ""
            except Exception as error:  # noqa: BLE001  # the store may be away for minutes; the loop goes on
                trouble = _note_trouble(error, trouble)
            stop.wait(interval_s)
        try:
            if started and self._still_leads():
                # What the proxies wrote until their end.
                self._recorder.record()
        finally:
            if self._leadership is not None:
                self._leadership.release()


def _is_watched(route: Route) -> bool:
    """Whether looks are taken: while it runs, and after its end for as long as requests are mirrored."""
    ended = route.phase in {Phase.ROLLED_BACK, Phase.PROMOTED}
    return route.phase is Phase.RUNNING or (ended and route.mirror_basis_points > 0)


def _note_trouble(error: Exception, before: str) -> str:
    """Log a failing tick, with its traceback once an episode."""
    trouble = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if trouble != before:
        _log.error("tick_failed", trouble=trouble, exc_info=error)
    return trouble
