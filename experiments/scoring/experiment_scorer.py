"""Pairs -> outcomes: runs the scorers of an experiment over a pair of exchanges. Pure but for `score_pending`.

Scorers that ask another server have a line of their own: here a pair is put into it, `router.scoring` takes it out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from msgspec.structs import replace

from experiments.config.records import Backend, Config, Experiment, Guardrail, Monitor
from experiments.config.serving import Scoring
from experiments.golden.sets import Expected, GoldenSet, load_golden
from experiments.scorers import Answer, AskingScorer, PairScore, Scorer, scorer_for
from experiments.scorers.asking import Asked, Failed, asks, drawn
from experiments.scorers.base import DetailedScore
from experiments.scoring.operational import Operational
from experiments.scoring.score_tasks import TaskStore, task_values
from experiments.scoring.scorer_versions import under_versions_in_use
from experiments.scoring.sides import Sides, answer_of, by_variant, comparable
from experiments.store import Outcome, Store, StoredExchange

_log = structlog.get_logger(__name__)

ERRORS = "errors"
STEPS = 256
"""Scores are kept in steps of 1/256. A power of two: sums of them are exact, so equal means of units are equal numbers,
and the evidence stays a histogram of bounded size however finely a scorer judges."""
_BATCH = 1_000
_Scored = tuple[str, str, float, float, float, dict[str, Any] | None]
"""Metric, version of its scorer, control's and the treatment's score, their difference, and what is kept beside."""
_SLOW_S = 1.0
"""A scorer that takes longer for one pair holds the controller up, and is told by name."""
_MAX_WAITING = Scoring().max_waiting
NO_ROOM = Failed("no room")
"""Too many pairs wait already."""


class ExperimentScorer:
    """All metrics of one experiment that a pair can have.

    Args:
        experiment: What to score.
        golden: The references, or None.
        backends: Variant -> its backend, for what speed and money it takes.
    """

    def __init__(
        self, experiment: Experiment, golden: GoldenSet | None = None, backends: Mapping[str, Backend] | None = None
    ) -> None:
        self._golden = golden
        self._operational = Operational(backends or {})
        metrics: list[Guardrail | Monitor] = [*experiment.guardrails, *experiment.monitors]
        made = {m.name: (m.scorer, s) for m in metrics if (s := scorer_for(m)) is not None}
        self._scorers: dict[str, Scorer] = {name: s for name, (_, s) in made.items() if not asks(s)}
        self.asking: dict[str, AskingScorer] = {name: s for name, (_, s) in made.items() if asks(s)}
        """Metric -> its scorer, of those that ask another server."""
        self._called = {name: called or "" for name, (called, _) in made.items()}

    def outcomes(self, live: StoredExchange, shadow: StoredExchange) -> list[Outcome]:
        """Score one pair. A pair that has no two sides to compare (shed, cancelled, client left) gives nothing."""
        if not comparable(live, shadow):
            return []
        sides = by_variant(live, shadow)
        operational = (_outcome(live, *value) for value in self._operational.values(sides))
        return [*(_outcome(live, *scored) for scored in self._quality(sides)), *operational]

    def asked(self, live: StoredExchange, shadow: StoredExchange) -> list[str]:
        """Return the metrics for which another server is to be asked about a pair: those that it is drawn for.

        Failed answers are drawn like others, though no server is needed to judge them: what is sampled is pairs.
        """
        if not comparable(live, shadow):
            return []
        pair = live.exchange.id
        return [m for m, scorer in self.asking.items() if drawn(scorer.asking.sample_percent, pair, m)]

    def asked_outcome(self, live: StoredExchange, metric: str, found: Asked | Failed, now: float) -> Outcome:
        """Return the outcome of a pair whose metric asked another server.

        Args:
            live: The user's exchange.
            metric: One of `asking`.
            found: What came of it.
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        version = self.asking[metric].version
        if isinstance(found, Failed):
            failure = f"{self._called[metric]}_failed: {found.reason}"
            return replace(_outcome(live, metric, version, 0.0, 0.0, 0.0), failure=failure, scored_at=now)
        control, treatment = in_steps(found.score)
        scored = _outcome(live, metric, version, control, treatment, treatment - control)
        return replace(scored, detail=found.detail or None, scored_at=now)

    def _quality(self, sides: Sides) -> Iterator[_Scored]:
        control, treatment = answer_of(sides.control), answer_of(sides.treatment)
        yield ERRORS, "errors/1", float(control.ok), float(treatment.ok), float(treatment.ok) - float(control.ok), None
        expected = self._golden.expected(sides.control.prompt) if self._golden else None
        for metric, scorer in self._scorers.items():
            score = _scored(scorer, control, treatment, expected, metric, sides.control.exchange.pair)
            if score is not None:
                detail = score.detail if isinstance(score, DetailedScore) else None
                yield metric, scorer.version, *score, score.treatment - score.control, detail


def _scored(
    scorer: Scorer, control: Answer, treatment: Answer, expected: Expected | None, metric: str, pair: str
) -> PairScore | None:
    """Let a scorer judge; one that raises, or says what is no score, costs its metric of this pair and nothing else."""
    began = time.perf_counter()
    try:
        score = scorer.score(control, treatment, expected)
        if (took_s := time.perf_counter() - began) > _SLOW_S:
            _log.warning("scorer_slow", pair=pair, metric=metric, scorer=scorer.version, took_s=round(took_s, 1))
        if score is None:
            return None
        if all(0.0 <= value <= 1.0 for value in score):
            return in_steps(score)
        reason = "not a number from 0 to 1"
    except Exception as error:  # noqa: BLE001  # third-party scorers may raise anything; the loop must go on
        reason = type(error).__name__
    _log.error("score_failed", pair=pair, metric=metric, scorer=scorer.version, reason=reason)
    return None


def in_steps(score: PairScore) -> PairScore:
    """Return a score as it is kept: in steps of 1/256."""
    control, treatment = (round(value * STEPS) / STEPS for value in score)
    if isinstance(score, DetailedScore):
        return DetailedScore(control, treatment, score.detail)
    return PairScore(control, treatment)


def _outcome(
    live: StoredExchange,
    metric: str,
    scorer: str,
    control: float,
    treatment: float,
    value: float,
    detail: dict[str, Any] | None = None,
) -> Outcome:
    exchange = live.exchange
    return Outcome(
        pair=exchange.id,
        metric=metric,
        scorer=scorer,
        experiment=exchange.experiment,
        epoch=exchange.epoch,
        stage=exchange.stage,
        unit=exchange.unit,
        at=exchange.at,
        slices=exchange.slices,
        control_value=control,
        treatment_value=treatment,
        value=value,
        detail=detail,
    )


def scorers_of(config: Config) -> dict[str, ExperimentScorer]:
    """Return experiment -> its scorer, golden sets loaded.

    Raises:
        experiments.golden.sets.GoldenError: A golden set cannot be read.
    """

    def scorer(experiment: Experiment) -> ExperimentScorer:
        backends: dict[str, Backend] = config.backends
        control, treatment = backends[experiment.control], backends[experiment.treatment]
        golden = load_golden(experiment.golden, control.protocol) if experiment.golden else None
        return ExperimentScorer(experiment, golden, {"control": control, "treatment": treatment})

    return {name: scorer(experiment) for name, experiment in config.experiments.items()}


def score_pending(
    store: Store,
    scorers: Mapping[str, ExperimentScorer],
    *,
    max_waiting: int = _MAX_WAITING,
    now: float | None = None,
) -> int:
    """Score every pair that waits; returns how many. A scorer that raises costs its pair, never the loop.

    Args:
        store: Migrated.
        scorers: Experiment -> its scorer.
        max_waiting: So many pairs may wait for scorers that ask another server; further ones are outcomes that say so.
        now: Wall-clock time in seconds since the epoch (UTC); the clock's unless given.
    """
    done, line = 0, TaskStore(store.engine)
    any_asks = any(scorer.asking for scorer in scorers.values())
    while pairs := store.unscored_pairs(_BATCH):
        outcomes: list[Outcome] = []
        tasks: list[dict[str, Any]] = []
        room = max_waiting - line.waiting() if any_asks else 0
        for live, shadow in pairs:
            scorer = scorers.get(live.exchange.experiment)
            if scorer is None:
                continue  # an experiment that is no longer configured
            try:
                outcomes.extend(scorer.outcomes(live, shadow))
            except Exception:  # noqa: BLE001  # third-party scorers may raise anything; the loop must go on
                _log.exception("score_failed", pair=live.exchange.id, experiment=live.exchange.experiment)
            for metric in scorer.asked(live, shadow):
                if len(tasks) < room:
                    tasks.append(_task(live, metric))
                else:
                    at = time.time() if now is None else now
                    outcomes.append(scorer.asked_outcome(live, metric, NO_ROOM, at))
        in_use = under_versions_in_use(store.engine, outcomes)
        store.save_outcomes(in_use, [shadow.seq for _, shadow in pairs], tasks)
        done += len(pairs)
    return done


def _task(live: StoredExchange, metric: str) -> dict[str, Any]:
    exchange = live.exchange
    # Due since it was answered: so they are taken in the order of the requests.
    return task_values(exchange.id, exchange.experiment, exchange.epoch, metric, exchange.at)
