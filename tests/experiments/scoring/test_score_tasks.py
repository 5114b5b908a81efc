"""The line of pairs that wait for another server: a task or its outcome, never both and never neither."""

from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError
from tests_builders import make_experiment, make_pair

from experiments.config.asking import Judge
from experiments.config.records import Monitor
from experiments.scorers import Asked, Failed, PairScore
from experiments.scoring.experiment_scorer import ExperimentScorer, score_pending
from experiments.scoring.score_tasks import Spend, TaskStore, task_values
from experiments.store import Outcome, Store

DAY_S = 86_400.0


def scorer(**judge: Any) -> ExperimentScorer:
    monitors = (Monitor(name="better", scorer="judge", judge=Judge(backend="judge", **judge)),)
    return ExperimentScorer(make_experiment(guardrails=(), monitors=monitors))


def outcome_of(pair: str, value: float = 1.0) -> Outcome:
    live, _ = make_pair({"id": pair})
    return scorer().asked_outcome(live, "better", Asked(PairScore(0.0, value), {"picked": "A"}), 5.0)


def put(store: Store, *pairs: str, due_at: float = 1.0, metric: str = "better") -> TaskStore:
    store.save_outcomes([], [], [task_values(pair, "support", 1, metric, due_at) for pair in pairs])
    return TaskStore(store.engine)


def test_a_pair_is_in_line_once_for_a_metric(store: Store) -> None:
    put(store, "p1")
    line = put(store, "p1", "p2")
    put(store, "p1", metric="nicer")

    assert (line.waiting(), line.waiting_for("support", "better")) == (3, 2)


def test_the_longest_waiting_come_first_and_what_is_not_wanted_stays(store: Store) -> None:
    put(store, "late", due_at=3.0)
    put(store, "later", due_at=9.0)
    put(store, "other", due_at=2.0, metric="nicer")
    line = put(store, "early", due_at=1.0)

    assert [task.pair for task in line.due(5.0, 10)] == ["early", "other", "late"]
    assert [task.pair for task in line.due(5.0, 10, not_of=[("support", "nicer")])] == ["early", "late"]
    assert [task.pair for task in line.due(5.0, 1, not_these=[line.due(5.0, 1)[0].seq])] == ["other"]


def test_a_finished_task_is_its_outcome_and_nobody_finishes_it_twice(store: Store) -> None:
    line = put(store, "p1")
    [task] = line.due(5.0, 10)

    assert line.finish(task, outcome_of("p1"), Spend(2, 200, 20), 10.0)
    assert not line.finish(task, outcome_of("p1", 0.5), Spend(1, 100, 10), 20.0)

    [stored] = store.outcomes("support", 1, 0, 100)
    assert (stored.treatment_value, stored.detail, stored.scored_at) == (1.0, {"picked": "A"}, 5.0)
    assert line.waiting() == 0
    assert line.spent("1970-01-01") == {("support", "better"): Spend(3, 300, 30)}  # both were paid for


def test_a_store_that_fails_half_way_keeps_the_task(sqlite: Store) -> None:
    line = put(sqlite, "p1")
    [task] = line.due(5.0, 10)
    with sqlite.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE score_spend")

    with pytest.raises(SQLAlchemyError):
        line.finish(task, outcome_of("p1"), Spend(1), 10.0)

    assert line.waiting() == 1
    assert sqlite.outcomes("support", 1, 0, 100) == []


def test_a_metric_that_does_not_apply_leaves_no_outcome(store: Store) -> None:
    line = put(store, "p1")

    line.finish(line.due(5.0, 10)[0], None, Spend(), 10.0)

    assert (line.waiting(), store.outcomes("support", 1, 0, 100), line.spent("1970-01-01")) == (0, [], {})


def test_a_postponed_task_remembers_why(store: Store) -> None:
    line = put(store, "p1")
    [task] = line.due(5.0, 10)

    line.postpone(replace(task, due_at=50.0, attempts=1, trouble="timeout"), Spend(1), DAY_S)

    assert line.due(49.0, 10) == []
    [again] = line.due(50.0, 10)
    assert (again.attempts, again.trouble) == (1, "timeout")
    assert line.spent("1970-01-02") == {("support", "better"): Spend(1)}


def test_a_pair_is_put_in_line_with_the_mark_that_it_is_scored(store: Store, load) -> None:
    pair = make_pair({"answer": "a"}, {"answer": "b"})
    load(*pair)

    score_pending(store, {"support": scorer()})
    score_pending(store, {"support": scorer()})

    [task] = TaskStore(store.engine).due(1e12, 10)
    assert (task.pair, task.due_at) == (pair[0].exchange.id, pair[0].exchange.at)
    assert {outcome.metric for outcome in store.outcomes("support", 1, 0, 100)} == {"errors", "latency", "ttft"}


def test_a_sample_is_drawn_by_the_pair_and_failed_answers_are_drawn_like_others() -> None:
    found = scorer(sample_percent=30)
    pairs = [make_pair({}, {"error": "timeout"} if n % 2 else {}) for n in range(600)]
    drawn = [found.asked(*pair) == ["better"] for pair in pairs]

    assert 130 < sum(drawn) < 230
    assert drawn == [found.asked(*pair) == ["better"] for pair in pairs]
    assert 50 < sum(drawn[1::2]) < 130
    assert scorer().asked(*make_pair({}, {"error": "shed"})) == []


def test_a_failure_is_an_outcome_without_values() -> None:
    live, _ = make_pair()

    outcome = scorer().asked_outcome(live, "better", Failed("timeout"), 9.0)

    assert (outcome.failure, outcome.value, outcome.scored_at) == ("judge_failed: timeout", 0.0, 9.0)
    assert outcome.scorer == scorer().asking["better"].version
