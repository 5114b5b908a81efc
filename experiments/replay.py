"""Recomputes every look of an epoch from the stored rows and holds it against what was stored then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from experiments.config.records import Experiment
from experiments.decision import Progress, decide
from experiments.evaluation.evaluator import Evaluator
from experiments.evidence import Decision, Elapsed, Evidence
from experiments.looks import each_look
from experiments.retention.dropped import check_whole
from experiments.store import Look, Outcome, Store, StoredExchange, StoredFeedback, Watermarks

Rows = tuple[list[StoredExchange], list[Outcome], list[StoredFeedback]]


class Replayed(NamedTuple):
    """One look, as it was stored and as it comes out now."""

    stored: Look
    evidence: Evidence
    decision: Decision

    @property
    def same(self) -> bool:
        """Whether evidence and decision are the same to the last bit."""
        return _bits(self.stored.evidence) == _bits(self.evidence) and self.stored.decision == self.decision


def _bits(evidence: Evidence) -> bytes:
    return msgspec.json.encode(evidence)


def replay(store: Store, experiment: Experiment, epoch: int) -> Iterator[Replayed]:
    """Yield every look of an epoch, recomputed.

    Args:
        store: Where the rows are.
        experiment: The configuration of that epoch (each epoch row carries it).
        epoch: Which one.

    Raises:
        DroppedError: Some of its rows were dropped.
    """
    check_whole(store.engine, experiment.name, epoch)
    evaluator = Evaluator(experiment, epoch)
    seen = Watermarks(0, 0, 0)
    starts = _stage_starts(store, experiment.name, epoch)
    for look in each_look(store.engine, experiment.name, epoch):
        evidence, seen = fold_look(store, evaluator, look, seen)
        elapsed = look.evidence.elapsed or Elapsed(epoch_s=look.at - starts[0], stage_s=look.at - starts[look.stage])
        progress = Progress(look.stage, elapsed.epoch_s, elapsed.stage_s)
        yield Replayed(look, evidence, decide(evidence, experiment, progress))


def refold(store: Store, evaluator: Evaluator, seen: Watermarks | None = None) -> Watermarks:
    """Bring an evaluator to where the last stored look was; returns that look's watermarks.

    Args:
        store: Where the rows are.
        evaluator: A fresh one, or one that has folded some looks.
        seen: How far it had read by then.
    """
    seen = seen or Watermarks(0, 0, 0)
    for look in each_look(store.engine, evaluator.experiment.name, evaluator.epoch, after=evaluator.looks):
        _, seen = fold_look(store, evaluator, look, seen)
    return seen


def fold_look(store: Store, evaluator: Evaluator, look: Look, seen: Watermarks) -> tuple[Evidence, Watermarks]:
    """Fold the rows that a stored look had read since the one before it."""
    upto = Watermarks(look.exchange_seq, look.outcome_seq, look.feedback_seq)
    rows = rows_between(store, evaluator, seen, upto)
    evidence = evaluator.look(look.at, look.stage, look.evidence.phase, *rows, rules=look.evidence.rules)
    # What the proxies shed, and how long it took, is in no row: the look itself is the only witness.
    return msgspec.structs.replace(evidence, shed=look.evidence.shed, elapsed=look.evidence.elapsed), upto


def rows_between(store: Store, evaluator: Evaluator, seen: Watermarks, upto: Watermarks) -> Rows:
    """Return (exchanges, outcomes, feedback) that a look folds in."""
    name, epoch = evaluator.experiment.name, evaluator.epoch
    return (
        store.exchanges(name, epoch, seen.exchange, upto.exchange),
        store.outcomes(name, epoch, seen.outcome, upto.outcome),
        store.feedback(name, epoch, seen, upto),
    )


def _stage_starts(store: Store, experiment: str, epoch: int) -> dict[int, float]:
    """Return stage -> when it began: what the time conditions of a decision were measured from."""
    starts: dict[int, float] = {}
    for transition in store.transitions(experiment):
        if transition.epoch == epoch:
            starts.setdefault(transition.to_stage, transition.at)
    return starts
