"""The line is worked off: each pair once, within its limits, and nothing is lost or double however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text, update
from tests_scoring import METRIC, Bench

from experiments.scoring.score_tasks import day_of
from experiments.tables import EXCHANGE
from router.fakes.judge import first
from router.scoring import runner

WORKER = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from tests_scoring import Bench
from router.fakes.judge import ScriptedJudge
from router.scoring.runner import ScoringRunner
bench = Bench(Path({folder!r}), {url!r}, ScriptedJudge())
with ScoringRunner(bench.config(swap_percent=50.0), bench.store):
    print("working", flush=True)
    time.sleep(60)
"""


def test_each_pair_is_judged_once_and_what_it_took_is_booked(bench: Bench) -> None:
    config = bench.config(swap_percent=50.0)
    pairs = bench.put_in_line(config, 30)
    began = time.time()

    outcomes = bench.until_done(config)

    assert sorted(o.pair for o in outcomes) == sorted(pairs)
    assert {(o.control_value, o.treatment_value, o.value, o.failure) for o in outcomes} == {(0.0, 1.0, 1.0, "")}
    assert all(o.scored_at is not None and began <= o.scored_at <= time.time() for o in outcomes)
    assert {o.at for o in outcomes} == {1000.0}  # as the pair's other outcomes
    assert {o.detail["reason"] for o in outcomes if o.detail} == {"scripted"}
    assert 30 < bench.judge.calls < 60
    assert bench.line.spent(day_of(time.time()))[METRIC] == (
        bench.judge.calls,
        *(bench.judge.calls * n for n in (100, 10)),
    )


def test_no_more_questions_are_on_their_way_than_configured(bench: Bench) -> None:
    bench.judge.delay_ms = 20
    config = bench.config(concurrency=3)
    bench.put_in_line(config, 12)

    bench.until_done(config)

    assert bench.judge.most == 3


def test_a_judge_that_fails_is_an_outcome_after_its_retries(bench: Bench) -> None:
    bench.judge.fail_share = 1.0
    config = bench.config(retries=0)
    bench.put_in_line(config, 3)

    outcomes = bench.until_done(config)

    assert {(o.failure, o.value) for o in outcomes} == {("judge_failed: status 500", 0.0)}
    assert len(outcomes) == 3


def test_a_question_that_failed_is_asked_again_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_FIRST_WAIT_S", 0.5)
    bench.judge.fail_share = 1.0
    config = bench.config(retries=1)
    bench.put_in_line(config, 1)
    bench.run(config, lambda: bool(bench.line.due(1e12, 1)) and bench.line.due(1e12, 1)[0].attempts == 1)
    bench.judge.fail_share = 0.0

    [task] = bench.line.due(1e12, 1)
    assert (task.trouble, task.due_at > time.time()) == ("status 500", True)
    [outcome] = bench.until_done(config)

    assert (outcome.failure, outcome.value) == ("", 1.0)
    assert bench.line.spent(day_of(time.time()))[METRIC].calls == 2


def test_a_server_that_is_asked_too_often_is_left_alone_and_costs_no_attempt(bench: Bench) -> None:
    bench.judge.limited, bench.judge.retry_after_s = 4, "0.3"
    config = bench.config(retries=0)
    bench.put_in_line(config, 6)
    began = time.monotonic()

    outcomes = bench.until_done(config)

    assert [o.failure for o in outcomes] == [""] * 6
    assert time.monotonic() - began >= 0.3
    assert bench.line.spent(day_of(time.time()))[METRIC].calls == 6


def test_a_days_calls_are_not_exceeded_and_the_rest_waits(bench: Bench) -> None:
    config = bench.config(max_calls_per_day=5)
    bench.put_in_line(config, 9)

    bench.run(config, lambda: len(bench.outcomes()) == 5)
    ends_at = time.monotonic() + 0.3
    bench.run(config, lambda: time.monotonic() > ends_at)

    assert (bench.judge.calls, bench.line.waiting()) == (5, 4)


def test_a_process_that_does_not_lead_takes_nothing(bench: Bench) -> None:
    config = bench.config()
    bench.put_in_line(config, 2)
    ends_at = time.monotonic() + 0.3

    bench.run(config, lambda: time.monotonic() > ends_at, leads=False)

    assert (bench.judge.calls, bench.line.waiting()) == (0, 2)


def test_texts_that_are_erased_meanwhile_are_a_failure(bench: Bench) -> None:
    config = bench.config()
    bench.put_in_line(config, 1)
    with bench.store.engine.begin() as connection:
        connection.execute(update(EXCHANGE).values(prompt=None, answer=None, erased_at=1.0))

    [outcome] = bench.until_done(config)

    assert outcome.failure == "judge_failed: the texts are erased"
    assert bench.judge.calls == 0


def test_an_experiment_that_keeps_no_texts_keeps_no_words_of_the_judge(bench: Bench) -> None:
    config = bench.config(capture="hashed")
    bench.put_in_line(config, 1)

    [outcome] = bench.until_done(config)

    assert outcome.detail is not None
    assert outcome.detail["picked"] in "AB"
    assert "reason" not in outcome.detail


def test_a_judge_of_positions_is_found_out(bench: Bench) -> None:
    bench.judge.rule = first
    config = bench.config(swap_percent=100.0)
    bench.put_in_line(config, 4)

    outcomes = bench.until_done(config)

    assert {(o.value, o.detail["consistent"]) for o in outcomes if o.detail} == {(0.0, False)}


def test_a_store_that_is_away_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_STORE_AWAY_S", 0.2)
    config = bench.config()
    bench.put_in_line(config, 2)
    with bench.store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE score_task RENAME TO elsewhere"))
    back_at = time.monotonic() + 0.3

    def is_done() -> bool:
        nonlocal back_at
        if time.monotonic() > back_at:
            back_at = float("inf")
            with bench.store.engine.begin() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO score_task"))
        return len(bench.outcomes()) == 2

    bench.run(config, is_done)


def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing(bench: Bench) -> None:
    bench.judge.delay_ms = 15
    config = bench.config(swap_percent=50.0)
    pairs = bench.put_in_line(config, 150)
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]
    code = WORKER.format(paths=paths, folder=str(bench.folder), url=bench.url)

    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        while len(bench.outcomes()) < 30:
            assert worker.poll() is None
            time.sleep(0.003)
        os.kill(worker.pid, signal.SIGKILL)
    assert bench.line.waiting() + len(bench.outcomes()) == 150
    assert bench.line.waiting() > 0
    outcomes = bench.until_done(config)

    assert sorted(o.pair for o in outcomes) == sorted(pairs)
    assert {o.value for o in outcomes} == {1.0}


def test_a_full_line_is_told_in_the_outcomes(bench: Bench) -> None:
    config = bench.config()

    bench.put_in_line(config, 5, max_waiting=2, now=5_000.0)

    assert bench.line.waiting() == 2
    assert [(o.failure, o.scored_at) for o in bench.outcomes()] == [("judge_failed: no room", 5_000.0)] * 3
