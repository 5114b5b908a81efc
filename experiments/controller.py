"""The loop that closes: record, score, evaluate, decide, transition. One `tick(now)` does each once.

The controller alone writes decisions. A tick is a row of transactions, each complete in itself, so it may be killed
between any two; on the next start every look of the epoch is folded again from the stored rows, which also proves that
what is stored explains what was decided.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from msgspec.structs import replace

from experiments.aa_run import Step, after_look, clean, findings, is_over, progress
from experiments.attempts import AA_CANDIDATE, attempt_of, candidate_of, exposed_before, for_attempt
from experiments.config import Config, Experiment, config_hash
from experiments.decision import Progress, decide
from experiments.evaluation.evaluators import Evaluators, Folded
from experiments.evidence import Decision, Elapsed, Shed
from experiments.explain import action_word, sentence
from experiments.golden.gate import Gatekeeper, needs_golden
from experiments.golden.gatehouse import ACTOR, Gatehouse
from experiments.journal.post import RecordingPost
from experiments.journal.recorder import Recorder
from experiments.journal.recorders import Recorders, ShedWatch
from experiments.leadership import Leadership
from experiments.lifecycle import start, step, transition, wait
from experiments.model import Phase, Route
from experiments.pairs.label_scoring import LabelScoring
from experiments.privacy.erasure import Eraser
from experiments.scoring.experiment_scorer import score_pending, scorers_of
from experiments.stopwatch import Stopwatch, resumed
from experiments.store import Epoch, Look, RouteState, Store, Watermarks
from experiments.telling.alerts import Alerts

_log = structlog.get_logger(__name__)


class Controller:
    """Carries the configured experiments through.

    Args:
        config: What to run.
        store: Migrated.
        recorder: Reads the journal that the proxies of this host write, whether or not this controller leads.
        alerts: Tells people what happens; nobody is told unless given.
        leadership: Of several controllers on one store, only the one that leads does anything; without it, this one
            does in any case.
        gatekeeper: Asks backends and runs golden sets; without it, experiments have no gate.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        recorder: Recorder | RecordingPost,
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
        self._shed_watch = ShedWatch(Recorders(store.engine))
        self._scorers = scorers_of(config)
        self._late_labels = LabelScoring(config, store)
        self._evaluators = Evaluators(store)
        self._epochs: dict[str, int] = {}
        self._aa: set[str] = set()
        """Those whose epoch is an A/A run."""
        self._watches: dict[str, Stopwatch] = {}
        self._last_look = float("-inf")

    def start(self, now: float, steady_s: float | None = None) -> None:
        """Bring the schema up to date, begin new experiments and epochs, and take up those that were running.

        Args:
            now: By the wall clock.
            steady_s: By a clock that never jumps; the same as `now` unless given.
        """
        self._store.migrate()
        self._evaluators.begin()
        for experiment in self._config.experiments.values():
            digest = config_hash(experiment, self._config.backends)
            epoch = self._store.latest_epoch(experiment.name)
            if epoch is None or epoch.config_hash != digest:
                epoch = self._begin_epoch(experiment, digest, epoch, now)
            self._carry(experiment, epoch, now, now if steady_s is None else steady_s)

    def _carry(self, configured: Experiment, epoch: Epoch, now: float, steady_s: float) -> None:
        """Take up an epoch."""
        name = configured.name
        self._experiments[name] = for_attempt(configured, epoch.attempt)
        self._aa.discard(name)
        if epoch.candidate == AA_CANDIDATE:
            self._aa.add(name)
        self._epochs[name] = epoch.number
        self._evaluators.take_up(self._experiments[name], epoch.number)
        self._watches[name] = self._watch(name, now, steady_s)

    def _watch(self, name: str, now: float, steady_s: float) -> Stopwatch:
        state, look = self._store.route_states()[name], self._store.latest_look(name, self._epochs[name])
        stage = state.route.stage
        if look is None:
            nothing = Elapsed(epoch_s=0.0, stage_s=0.0)
            return Stopwatch(resumed(nothing, state.epoch_started_at, now), stage, steady_s)
        same = look.stage == stage
        earlier = Elapsed(epoch_s=look.at - state.epoch_started_at, stage_s=look.at - state.stage_started_at)
        return Stopwatch(resumed(look.evidence.elapsed or earlier, look.at, now, same_stage=same), stage, steady_s)

    def _begin_epoch(
        self, configured: Experiment, digest: str, previous: Epoch | None, now: float, after_aa: Step | None = None
    ) -> Epoch:
        """Begin an epoch: of the experiment, or of the A/A run before it.

        Args:
            configured: As it stands in the file.
            digest: Of the configuration.
            previous: The epoch before.
            now: By the wall clock.
            after_aa: The route of the A/A run that was clean, and what it found; None if there was none yet.
        """
        number = previous.number + 1 if previous else 1
        candidate = candidate_of(configured, self._config.backends)
        name = configured.name
        epochs, transitions = self._store.epochs(name), self._store.transitions(name)
        attempt = attempt_of(candidate, epochs, transitions)
        experiment = for_attempt(configured, attempt)
        aa_first = self._gatehouse is not None and experiment.gate.aa_units > 0 and after_aa is None
        epoch = Epoch(
            experiment=experiment.name,
            number=number,
            config_hash=digest,
            config=experiment.model_dump(mode="json"),
            started_at=now,
            candidate=AA_CANDIDATE if aa_first else candidate,
            attempt=attempt,
        )
        exposed = exposed_before(experiment, candidate, epochs, transitions) if attempt > 1 else ()
        gated = self._gatehouse is not None and (experiment.gate.healthy or needs_golden(experiment))
        route = (wait if gated or aa_first else start)(experiment, number, exposed)
        if after_aa is not None:
            actor, before, reason = ACTOR, after_aa.route, after_aa.reason
        else:
            actor, before, reason = "config", replace(route, phase=Phase.DRAFT), _reason(previous)
        state = RouteState(route=route, epoch_started_at=now, stage_started_at=now)
        begun = transition(before, route, at=now, actor=actor, reason=reason)
        self._store.begin_epoch(epoch, state, begun, before=after_aa.route if after_aa else None)
        _log.info("epoch_started", experiment=name, epoch=number, attempt=attempt, phase=route.phase.value)
        return epoch

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
        score_pending(self._store, self._scorers, max_waiting=self._config.router.scoring.max_waiting, now=now)
        self._late_labels.score()
        self._eraser.erase(now)
        if steady_s - self._last_look < self._config.router.look_interval_s:
            return []
        self._last_look = steady_s
        self._visit_gates(now, steady_s)
        # Both once for all looks of this tick: the mark waits for what other hosts are loading.
        shed, upto = self._shed_watch.read(steady_s), self._store.watermarks()
        decisions = [
            decision for name in self._epochs if (decision := self._look(name, now, steady_s, shed, upto)) is not None
        ]
        # Only now: had a look failed, the next one must still hear of it.
        self._shed_watch.settle(now)
        return decisions

    def _visit_gates(self, now: float, steady_s: float) -> None:
        if self._gatehouse is None:
            return
        states = self._store.route_states()
        for name, experiment in self._experiments.items():
            if name in self._aa:
                began = self._visit_aa(self._gatehouse, states[name], now, steady_s)
            else:
                began = self._gatehouse.visit(experiment, states[name], now)
            if began:
                # What it waited for is no time in which it was tried.
                self._watches[name] = Stopwatch(Elapsed(epoch_s=0.0, stage_s=0.0), 0, steady_s)

    def _visit_aa(self, gatehouse: Gatehouse, state: RouteState, now: float, steady_s: float) -> bool:
        """Begin an A/A run when the backends answer, and end it when it is clean; returns whether it began just now."""
        route, experiment = state.route, self._experiments[state.route.experiment]
        if route.phase is not Phase.GATED:
            return False
        look = self._store.latest_look(route.experiment, route.epoch)
        if look is None:
            return route.split_basis_points == 0 and gatehouse.begin_aa(experiment, state, now)
        found = findings(look.evidence, look.decision, experiment)
        said = [f"A/A: {one}" for one in found] or [progress(look.evidence, experiment)]
        gatehouse.say(experiment.name, route.epoch, now, said)
        if is_over(look.evidence, experiment) and not found:
            self._begin_after_aa(Step(route, clean(look.evidence)), now, steady_s)
        return False

    def _begin_after_aa(self, aa: Step, now: float, steady_s: float) -> None:
        """Begin the experiment itself, in an epoch of its own: nothing of the A/A run is pooled with it."""
        configured, last = self._config.experiments[aa.route.experiment], self._store.latest_epoch(aa.route.experiment)
        assert last is not None  # noqa: S101  # the A/A run's
        epoch = self._begin_epoch(configured, last.config_hash, last, now, aa)
        self._carry(configured, epoch, now, steady_s)

    def _look(self, name: str, now: float, steady_s: float, shed: Shed, upto: Watermarks) -> Decision | None:
        state = self._store.route_states()[name]
        if not _is_watched(state.route, aa=name in self._aa):
            return None
        experiment = self._experiments[name]
        folded = self._evaluators.take(experiment, self._epochs[name])
        rows = self._evaluators.rows(folded, upto)
        if rows is None:
            return None
        evaluator = folded.evaluator
        evidence = evaluator.look(now, state.route.stage, state.route.phase, *rows)
        elapsed = self._watches[name].read(state.route.stage, steady_s)
        evidence = replace(evidence, shed=shed, elapsed=elapsed)
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
        self._evaluators.keep(Folded(evaluator, upto))
        self._watches[name].go_on(elapsed, state.route.stage, steady_s)
        if self._alerts is not None:
            self._alerts.saw(look)
        return decision

    def _still_leads(self) -> bool:
        """Whether a look may be stored: a tick can take long, and another one may have been made leader during it."""
        return self._leadership is None or self._leadership.still_leads()

    def _save(self, experiment: Experiment, state: RouteState, look: Look) -> None:
        follows = _follows(experiment, state.route, look, aa=experiment.name in self._aa)
        if follows is None:
            self._store.save_look(look)
            return
        after = follows.route
        change = transition(state.route, after, at=look.at, actor="controller", reason=follows.reason, look=look.number)
        moved = RouteState(route=after, epoch_started_at=state.epoch_started_at, stage_started_at=look.at)
        # Should somebody have paused it just now, the next tick decides again, on what is so then.
        self._store.save_look(look, change, moved, before=state.route)
        done = "aa_not_clean" if experiment.name in self._aa else action_word(look.decision.action).replace(" ", "_")
        _log.warning(
            done,
            experiment=experiment.name,
            split_percent=after.split_basis_points / 100,
            reason=change.reason,
        )

    def run(self, stop: Any, interval_s: float = 0.5) -> None:
        """Tick until `stop` (a `threading.Event`) is set. What fails is logged and tried again at the next tick.

        While another controller leads, only this host's journal is loaded; what the leader has written is taken up by
        starting again.
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
                else:
                    self._recorder.record()
                trouble = ""
            except Exception as error:  # noqa: BLE001  # the store may be away for minutes; the loop goes on
                trouble = _note_trouble(error, trouble)
            stop.wait(interval_s)
        try:
            # What the proxies wrote until their end.
            self._recorder.close()
        finally:
            if self._leadership is not None:
                self._leadership.release()


def _reason(previous: Epoch | None) -> str:
    return "first epoch" if previous is None else "the configuration changed: nothing of before counts"


def _is_watched(route: Route, *, aa: bool) -> bool:
    """Whether looks are taken: while it runs, and after its end for as long as requests are mirrored.

    Of an A/A run only while it goes on: what a person makes of it later must not be pooled with it.
    """
    if aa:
        return route.phase is Phase.GATED and route.split_basis_points > 0
    ended = route.phase in {Phase.ROLLED_BACK, Phase.PROMOTED}
    return route.phase is Phase.RUNNING or (ended and route.mirror_basis_points > 0)


def _follows(experiment: Experiment, route: Route, look: Look, *, aa: bool) -> Step | None:
    """Return what a look does to the route, and why; None if nothing."""
    if aa:
        return after_look(experiment, route, look)
    after = step(experiment, route, look.decision)
    return None if after is None else Step(after, "; ".join(sentence(reason) for reason in look.decision.reasons))


def _note_trouble(error: Exception, before: str) -> str:
    """Log a failing tick, with its traceback once an episode."""
    trouble = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    if trouble != before:
        _log.error("tick_failed", trouble=trouble, exc_info=error)
    return trouble
