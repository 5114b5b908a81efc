"""The study of whole experiments, few runs of it: false decisions stay within their alpha. Answers are simulated.

These runs write the journal's lines themselves; 200 of each are `python -m benchmarks.whole_experiments`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from benchmarks.whole_experiments import STUDIES, Run, Study, allowed, faults, quieten, run
from experiments.model import Phase

RUNS, USERS = 10, 300


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    quieten()
    yield
    structlog.configure(**before)


def test_the_same_model_on_both_sides_is_not_rolled_back_more_often_than_alpha_allows() -> None:
    runs = [run(seed, STUDIES["aa"], USERS) for seed in range(RUNS)]

    assert faults(STUDIES["aa"], runs) == []
    assert sum(r.phase is Phase.PROMOTED for r in runs) > RUNS / 2  # so the study decides at all


def test_a_treatment_at_the_margin_is_neither_promoted_nor_rolled_back_more_often_than_alpha_allows() -> None:
    runs = [run(seed, STUDIES["margin"], users=150) for seed in range(RUNS)]

    assert faults(STUDIES["margin"], runs) == []


def test_the_study_would_see_a_rollback_that_is_due() -> None:
    broken = Study("broken", treatment_wrong=0.6, tolerance=0.05, false={})

    done = run(1, broken, USERS)

    assert done.phase is Phase.ROLLED_BACK
    assert done.users < USERS


def test_too_many_false_decisions_and_a_look_that_does_not_replay_are_faults() -> None:
    bad = [Run(Phase.ROLLED_BACK, 100, replays=False)] * (limit := allowed(200, 0.05))
    good = [Run(Phase.PROMOTED, 300, replays=True)] * (200 - limit)

    within = faults(STUDIES["aa"], bad + good)
    beyond = faults(STUDIES["aa"], [*bad, bad[0], *good[1:]])

    assert within == [f"A/A: {limit} of 200 do not replay"]
    assert beyond[0] == f"A/A: {limit + 1} of 200 falsely rolled_back, at most {limit} allowed"
