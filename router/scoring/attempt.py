"""One attempt at one task: its pair out of the store, its questions asked, and what follows from the replies."""

from __future__ import annotations

from typing import NamedTuple

import aiohttp
import msgspec
import structlog

from experiments.config.records import Config
from experiments.pairs.stored_pairs import StoredPair
from experiments.scorers import Answer, AskingScorer, PairScore
from experiments.scorers.asking import Asked, Failed, Question
from experiments.scoring.experiment_scorer import ExperimentScorer
from experiments.scoring.score_tasks import Metric, ScoreTask, Spend
from experiments.scoring.sides import answer_of, by_variant, comparable
from experiments.stored import Outcome
from router.scoring.asker import Asker, Trouble

_log = structlog.get_logger(__name__)
ERASED = Failed("the texts are erased")
BROKEN = Failed("the scorer failed")


class Done(NamedTuple):
    """The task is at its end."""

    outcome: Outcome | None
    """None if the metric does not apply to the pair."""
    spend: Spend
    trouble: Trouble | None = None
    """What the server did at the last attempt, if it gave no good answer."""


class Again(NamedTuple):
    """The task is to be tried once more."""

    reason: str
    spend: Spend
    trouble: Trouble | None = None
    """What the server did; None if it answered and the answer gave no score."""


class Work(NamedTuple):
    """A task with all that an attempt needs."""

    task: ScoreTask
    pair: StoredPair | None
    scorer: AskingScorer
    questions: tuple[Question, ...]

    @property
    def metric(self) -> Metric:
        """Of the task."""
        return self.task.experiment, self.task.metric


class Attempts:
    """Makes attempts.

    Args:
        config: Its experiments say what is scored, and its backends who is asked.

    Raises:
        experiments.scorers.base.ScorerError: A scorer cannot be made.
        router.processes.secrets.SecretError: The key of a backend that is asked cannot be had.
        router.upstream.upstream.CertificateError: The certificates to trust cannot be used.
    """

    def __init__(self, config: Config) -> None:
        made = {name: ExperimentScorer(experiment) for name, experiment in config.experiments.items()}
        self._experiments = {name: scorer for name, scorer in made.items() if scorer.asking}
        self.scorers: dict[Metric, AskingScorer] = {
            (name, metric): scorer
            for name, experiment in self._experiments.items()
            for metric, scorer in experiment.asking.items()
        }
        self._keeps_words = {name for name, experiment in config.experiments.items() if experiment.capture == "full"}
        asked = {scorer.asking.backend for scorer in self.scorers.values()}
        self._askers = {name: Asker(config.backends[name], config.path.parent) for name in asked}

    def __repr__(self) -> str:
        return f"<Attempts at {len(self.scorers)} metrics>"

    def work(self, task: ScoreTask, pair: StoredPair | None) -> Work:
        """Return what a task asks; nothing if it is decided without. Its metric must be one of `scorers`."""
        scorer = self.scorers[task.experiment, task.metric]
        questions: tuple[Question, ...] = ()
        if pair is not None and pair.shadow is not None and not pair.is_erased:
            try:
                questions = tuple(scorer.questions(task.pair, *_answers(pair)))
            except Exception:  # noqa: BLE001  # third-party scorers may raise anything; the line must go on
                _log.exception("score_failed", pair=task.pair, metric=task.metric, scorer=scorer.version)
        return Work(task, pair, scorer, questions)

    async def attempt(self, session: aiohttp.ClientSession, work: Work, now: float) -> Done | Again:
        """Ask, one question after the other, and read the replies.

        Args:
            session: Of the running loop.
            work: As `work` made it.
            now: Wall-clock time in seconds since the epoch (UTC).
        """
        pair, asking = work.pair, work.scorer.asking
        if pair is None or pair.shadow is None or not comparable(pair.live, pair.shadow):
            return Done(None, Spend())
        if pair.is_erased:
            return Done(self._outcome(work, pair, ERASED, now), Spend())
        replies: list[bytes] = []
        spend = Spend()
        for question in work.questions:
            reply = await self._askers[asking.backend].ask(session, question, asking.timeout_s)
            if isinstance(reply, Trouble):
                # A call that was refused for want of room has cost nothing; every other one may have.
                spend = spend.plus(Spend(calls=0 if reply.is_limited else 1))
                return self._again(work, pair, Again(reply.reason, spend, reply), now)
            replies.append(reply.body)
            spend = spend.plus(reply.spend)
        found = _read(work, pair, replies)
        if isinstance(found, Failed) and found is not BROKEN:
            return self._again(work, pair, Again(found.reason, spend), now)
        return Done(None if found is None else self._outcome(work, pair, found, now), spend)

    def _again(self, work: Work, pair: StoredPair, again: Again, now: float) -> Done | Again:
        """Return the same, or a failed outcome if this was the last attempt."""
        limited = again.trouble is not None and again.trouble.is_limited
        if limited or work.task.attempts < work.scorer.asking.retries:
            return again
        return Done(self._outcome(work, pair, Failed(again.reason), now), again.spend, again.trouble)

    def _outcome(self, work: Work, pair: StoredPair, found: Asked | Failed, now: float) -> Outcome:
        if isinstance(found, Asked) and work.task.experiment not in self._keeps_words:
            # A judge's reason may quote the answers, and this experiment keeps no texts.
            found = found._replace(detail={key: value for key, value in found.detail.items() if key != "reason"})
        scorer = self._experiments[work.task.experiment]
        return scorer.asked_outcome(pair.live, work.task.metric, found, now)


def _read(work: Work, pair: StoredPair, replies: list[bytes]) -> Asked | Failed | None:
    try:
        found = work.scorer.read(work.task.pair, *_answers(pair), replies)
        if found is None or isinstance(found, Failed):
            return found
        sound = isinstance(found, Asked) and all(0.0 <= value <= 1.0 for value in PairScore(*found.score))
        msgspec.json.encode(found.detail)
    except Exception:  # noqa: BLE001  # third-party scorers may raise anything; the line must go on
        _log.exception("score_failed", pair=work.task.pair, metric=work.task.metric, scorer=work.scorer.version)
        return BROKEN
    return found if sound else BROKEN


def _answers(pair: StoredPair) -> tuple[Answer, Answer]:
    assert pair.shadow is not None  # noqa: S101  # only whole pairs are asked about
    sides = by_variant(pair.live, pair.shadow)
    return answer_of(sides.control), answer_of(sides.treatment)
