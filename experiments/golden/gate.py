"""The gate before the first user: healthy backends and a golden set that does not fail; and the same set again, daily.

The rules are pure functions. `Gatekeeper` carries them out beside the controller's loop: probes and golden runs take
seconds to minutes, so they run in a thread of their own, and a tick only asks how far they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import structlog

from experiments.config.records import Experiment
from experiments.golden.store import GoldenRun, GuardStore

_log = structlog.get_logger(__name__)
_PROBE_EVERY_S = 2.0
_RETRY_S = 60.0
"""After a golden run that could not be made at all."""
_SECONDS_PER_HOUR = 3600
PASSED, FAILED, CANNOT_TELL = "passed", "failed", "cannot_tell"


class Ran(NamedTuple):
    """What a golden run brought, as the edge hands it over."""

    result: str
    summary: str
    verdict: dict[str, Any]
    items: list[dict[str, Any]]


RunGolden = Callable[[Experiment, int], Ran]
"""Runs an experiment's golden set for the n-th time in its epoch; blocks; may raise."""
Probe = Callable[[Experiment], Sequence[str]]
"""Returns what is wrong with an experiment's backends, a sentence each; blocks; may raise."""


def needs_golden(experiment: Experiment) -> bool:
    """Whether its golden set is to be run before the first user."""
    return experiment.gate.golden and experiment.golden is not None


def golden_is_due(experiment: Experiment, runs: Sequence[GoldenRun], now: float) -> bool:
    """Whether the golden set is to be run now, for the first time or again."""
    if not needs_golden(experiment):
        return False
    if not runs:
        return True
    every = experiment.gate.every_hours
    return every is not None and now - runs[-1].at >= every * _SECONDS_PER_HOUR


def golden_verdict_missing(experiment: Experiment, runs: Sequence[GoldenRun]) -> str:
    """Say what of the golden set keeps the gate shut; empty if nothing does."""
    if not needs_golden(experiment):
        return ""
    if not runs:
        return "the golden set has not been run yet"
    last = runs[-1]
    if last.result == PASSED or (last.result == CANNOT_TELL and experiment.gate.on_cannot_tell == "pass"):
        return ""
    return f"the golden set: {last.summary}"


class Gatekeeper:
    """Probes backends and runs golden sets beside the controller's loop.

    Args:
        guards: Where runs are stored.
        run_golden: See `RunGolden`.
        probe: See `Probe`.
        clock: Wall-clock time in seconds since the epoch (UTC).
    """

    def __init__(
        self, guards: GuardStore, run_golden: RunGolden, probe: Probe, clock: Callable[[], float] = time.time
    ) -> None:
        self._guards = guards
        self._run_golden = run_golden
        self._probe = probe
        self._clock = clock
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="gate")
        self._golden: dict[str, Future[None]] = {}
        self._probing: dict[str, Future[Sequence[str]]] = {}
        self._probed_at: dict[str, float] = {}
        self._complaints: dict[str, Sequence[str] | None] = {}
        self._retry_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Gatekeeper [{len(self._golden)} golden runs going on]>"

    def close(self) -> None:
        """Start nothing more; what is going on is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def waits_for(self, experiment: Experiment, epoch: int, now: float) -> list[str]:
        """Return what keeps an experiment's gate shut, a sentence each; starts what has to be found out."""
        found = [*self._unhealthy(experiment, now)]
        if found:
            return found  # a golden run against a backend that is not there yet would only fail
        runs = self._guards.runs(experiment.name, epoch)
        self._run_if_due(experiment, epoch, runs, now, actor="gate")
        missing = golden_verdict_missing(experiment, runs)
        if missing and experiment.name in self._golden:
            missing = "the golden set is being run" if not runs else f"{missing}; it is being run again"
        return [missing] if missing else []

    def run_again(self, experiment: Experiment, epoch: int, now: float) -> None:
        """Run a running experiment's golden set again if that is due."""
        self._run_if_due(experiment, epoch, self._guards.runs(experiment.name, epoch), now, actor="schedule")

    def _unhealthy(self, experiment: Experiment, now: float) -> Sequence[str]:
        if not experiment.gate.healthy:
            return []
        name = experiment.name
        going_on = self._probing.get(name)
        if going_on is not None and going_on.done():
            del self._probing[name]
            self._complaints[name] = _outcome(going_on, name)
        elif going_on is None and now - self._probed_at.get(name, float("-inf")) >= _PROBE_EVERY_S:
            self._probed_at[name] = now
            self._probing[name] = self._pool.submit(self._probe, experiment)
        complaints = self._complaints.get(name)
        return ["the backends have not been asked yet"] if complaints is None else complaints

    def _run_if_due(
        self, experiment: Experiment, epoch: int, runs: Sequence[GoldenRun], now: float, *, actor: str
    ) -> None:
        name = experiment.name
        going_on = self._golden.get(name)
        if going_on is not None:
            if going_on.done():
                del self._golden[name]
            return
        if golden_is_due(experiment, runs, now) and now >= self._retry_at.get(name, float("-inf")):
            number = runs[-1].number + 1 if runs else 1
            self._retry_at[name] = now + _RETRY_S
            self._golden[name] = self._pool.submit(self._run, experiment, epoch, number, actor)

    def _run(self, experiment: Experiment, epoch: int, number: int, actor: str) -> None:
        try:
            ran = self._run_golden(experiment, number)
            run = GoldenRun(
                experiment=experiment.name, epoch=epoch, number=number, at=self._clock(), actor=actor, **ran._asdict()
            )
            self._guards.add_run(run)
        except Exception as error:  # noqa: BLE001  # whatever a backend or a store does, the loop tries again
            _log.error("golden_run_failed", experiment=experiment.name, error=f"{type(error).__name__}: {error}")
            return
        _log.warning("golden_run", experiment=experiment.name, result=ran.result, summary=ran.summary)


def _outcome(done: Future[Sequence[str]], name: str) -> Sequence[str]:
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001  # what cannot be asked is not healthy
        _log.error("probe_failed", experiment=name, error=f"{type(error).__name__}: {error}")
        return [f"the backends could not be asked: {type(error).__name__}"]
