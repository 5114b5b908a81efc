"""One attempt: a scorer of another package that breaks costs its pair, and nothing else."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from tests_scoring import Bench

from experiments.pairs.stored_pairs import stored_pairs
from experiments.scorers import Answer, Asked, Asking, PairScore, Question
from router.scoring.attempt import Again, Attempts, Done


class Strange:
    """A scorer that asks once and says what it was told to."""

    version = "strange/1"
    asking = Asking("judge", retries=1)

    def __init__(self, found: Any) -> None:
        self.found = found

    def questions(self, pair: str, control: Answer, treatment: Answer) -> Sequence[Question]:  # noqa: ARG002
        return [Question("/v1/embeddings", {"input": []})]

    def read(self, pair: str, control: Answer, treatment: Answer, replies: Sequence[bytes]) -> Any:  # noqa: ARG002
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def attempt(bench: Bench, found: Any = None) -> Done | Again:
    config = bench.config(retries=1)
    [pair] = bench.put_in_line(config, 1)
    attempts = Attempts(config)
    [task] = bench.line.due(1e12, 1)
    work = attempts.work(task, stored_pairs(bench.store.engine, [pair])[pair])
    if found is not None:
        work = work._replace(scorer=Strange(found))

    async def once() -> Done | Again:
        async with aiohttp.ClientSession(trust_env=False) as session:
            return await attempts.attempt(session, work, 7.0)

    return asyncio.run(once())


@pytest.mark.parametrize(
    "found", [ValueError("x"), "text", Asked(PairScore(1.5, 0.0), {}), Asked(PairScore(float("nan"), 0.0), {})]
)
def test_a_scorer_that_breaks_is_a_failed_outcome_and_is_not_tried_again(bench: Bench, found: Any) -> None:
    done = attempt(bench, found)

    assert isinstance(done, Done)
    assert done.outcome is not None
    assert done.outcome.failure == "judge_failed: the scorer failed"


def test_an_outcome_says_when_it_was_scored(bench: Bench) -> None:
    done = attempt(bench)

    assert isinstance(done, Done)
    assert done.outcome is not None
    assert (done.outcome.scored_at, done.outcome.value, done.spend.calls) == (7.0, 1.0, 1)


def test_trouble_is_another_attempt_while_there_are_any(bench: Bench) -> None:
    bench.judge.fail_share = 1.0

    again = attempt(bench)

    assert isinstance(again, Again)
    assert (again.reason, again.spend.calls) == ("status 500", 1)
