"""Scorers: two answers to the same request in, a score for each out. One file each.

A scorer sees answers and nothing else: not which variant is which model, not the time, not the store. They are chosen
by name; `experiments.scorers.catalogue` knows the names, ours and those of other packages. A scorer that needs another
server for it (a judge, embeddings) says what to ask and reads the replies: `experiments.scorers.asking`.
"""

from __future__ import annotations

from experiments.scorers.asking import Asked, Asking, AskingScorer, Failed, Question
from experiments.scorers.base import Answer, DetailedScore, PairScore, Scorer, ScorerError
from experiments.scorers.catalogue import scorer_for

__all__ = [
    "Answer",
    "Asked",
    "Asking",
    "AskingScorer",
    "DetailedScore",
    "Failed",
    "PairScore",
    "Question",
    "Scorer",
    "ScorerError",
    "scorer_for",
]
