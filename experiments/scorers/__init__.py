"""Scorers: two answers to the same request in, a score for each out. One file each.

A scorer sees answers and nothing else: not which variant is which model, not the time, not the store. They are chosen
by name; `experiments.scorers.catalogue` knows the names, ours and those of other packages.
"""

from __future__ import annotations

from experiments.scorers.base import Answer, PairScore, Scorer, ScorerError
from experiments.scorers.catalogue import scorer_for

__all__ = ["Answer", "PairScore", "Scorer", "ScorerError", "scorer_for"]
