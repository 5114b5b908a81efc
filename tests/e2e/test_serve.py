"""Whole experiments through `touchstone serve`: nothing lost, nobody harmed, the right decision."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from scipy.stats import binom

from experiments.model import Phase
from router.fakes.backend import Behaviour, sometimes_wrong


def _rows(served, query: str) -> list[tuple]:
    with sqlite3.connect(served.config.parent / "t.db") as raw:
        return raw.execute(query).fetchall()


def _touchstone(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "router", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_ten_thousand_requests_are_split_mirrored_paired_and_stored_once(served) -> None:
    running = served(ramp="[50]", mirror=20)

    await running.send(10_000)
    running.stop()

    [(live, distinct, treated, mirrored)] = _rows(
        running,
        "SELECT count(*), count(DISTINCT id), sum(served = 'treatment'), sum(pair != '') "
        "FROM exchange WHERE role = 'live'",
    )
    [(shadows, paired)] = _rows(
        running,
        "SELECT count(*), count(l.id) FROM exchange s LEFT JOIN exchange l ON l.id = s.pair AND l.role = 'live' "
        "WHERE s.role = 'shadow'",
    )
    assert live == distinct == len(set(running.answered)) == 10_000
    assert shadows == paired == mirrored
    for count, share in ((treated, 0.5), (mirrored, 0.2)):
        low, high = binom.ppf([0.0005, 0.9995], 10_000, share)
        assert low <= count <= high


async def test_what_was_answered_survives_the_kill_of_a_proxy(served) -> None:
    running = served(mirror=10, workers=2)

    load = asyncio.ensure_future(running.send(2_500, per_second=500))
    for _ in range(3):
        await asyncio.sleep(1.0)
        os.kill(running.pids("proxy")[0], signal.SIGKILL)
    await load
    running.stop()

    stored = {row[0] for row in _rows(running, "SELECT id FROM exchange WHERE role = 'live'")}
    missing = set(running.answered) - stored
    assert len(running.answered) > 2_000
    assert not missing


async def test_a_killed_controller_is_replaced_and_its_looks_replay_to_the_last_bit(served) -> None:
    running = served(mirror=100)

    await running.send(600, users=200)
    running.wait_for(lambda: len(running.store.looks("support", 1)) >= 3)
    before = len(running.store.looks("support", 1))
    os.kill(running.pids("control")[0], signal.SIGKILL)
    await running.send(300, users=400, first=600)

    assert running.wait_for(lambda: len(running.store.looks("support", 1)) > before + 2)
    running.stop()
    replay = await asyncio.to_thread(_touchstone, "replay", "support", "--config", str(running.config))
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert "recomputed to the last bit" in replay.stdout


async def test_a_treatment_that_is_as_good_and_cheaper_is_promoted_and_serves_everyone_within_a_second(served) -> None:
    running = served(ramp="[10, 50]", mirror=100, min_days=0)

    sending = asyncio.ensure_future(running.send(6_000, users=3_000, per_second=250))
    promoted = await asyncio.to_thread(running.wait_for, lambda: running.phase() == Phase.PROMOTED, 30)
    sending.cancel()
    await asyncio.sleep(1.0)
    running.control.received.clear()
    await running.send(100, first=10_000)

    assert promoted, running.get("/api/v1/experiments")
    assert running.control.received == []
    stages = [t.to_stage for t in running.store.transitions("support")]
    assert stages == [0, 0, 1, 1], "its gate, the first stage, the second, the end"


async def test_a_treatment_that_is_worse_is_rolled_back_and_serves_nobody_within_a_second(served) -> None:
    running = served(ramp="[50]", mirror=100, min_days=0)
    running.treatment.behaviour = Behaviour(answer=sometimes_wrong(0.3))

    sending = asyncio.ensure_future(running.send(6_000, users=3_000, per_second=250))
    rolled_back = await asyncio.to_thread(running.wait_for, lambda: running.phase() == Phase.ROLLED_BACK, 30)
    sending.cancel()
    await asyncio.sleep(1.0)
    running.treatment.received.clear()
    await running.send(100, first=10_000)

    assert rolled_back
    assert running.treatment.received == []
    last = running.store.transitions("support")[-1]
    assert "agreement in all traffic is worse than the tolerated" in last.reason


@pytest.mark.cluster
@pytest.mark.postgres
async def test_the_loop_closes_on_postgresql_too(served, postgres_url) -> None:
    running = served(ramp="[50]", mirror=100, min_days=0, database=postgres_url)
    running.treatment.behaviour = Behaviour(answer=sometimes_wrong(0.3))

    sending = asyncio.ensure_future(running.send(6_000, users=3_000, per_second=250))
    rolled_back = await asyncio.to_thread(running.wait_for, lambda: running.phase() == Phase.ROLLED_BACK, 30)
    sending.cancel()
    await asyncio.sleep(1.0)
    running.treatment.received.clear()
    await running.send(100, first=10_000)

    assert rolled_back
    assert running.treatment.received == []
    replay = await asyncio.to_thread(_touchstone, "replay", "support", "--config", str(running.config))
    assert replay.returncode == 0, replay.stdout


async def test_two_equal_variants_are_never_found_harmful(served) -> None:
    running = served(ramp="[50]", mirror=100)
    running.control.behaviour = running.treatment.behaviour = Behaviour(answer=sometimes_wrong(0.1))

    await running.send(1_500, users=500)
    await asyncio.sleep(3)

    assert running.phase() == Phase.RUNNING
    assert all(look.decision.action == "hold" for look in running.store.looks("support", 1))


async def test_a_treatment_that_dies_in_the_middle_harms_no_user_and_is_blamed(served) -> None:
    running = served(ramp="[50]", mirror=0)

    await running.send(300)
    running.treatment.behaviour = Behaviour(status=500)
    await running.send(700, first=300)

    assert len(running.answered) == 1_000
    assert await asyncio.to_thread(running.wait_for, lambda: running.phase() == Phase.ROLLED_BACK)
    assert "the error rate" in running.store.transitions("support")[-1].reason


async def test_feedback_reaches_the_store_once_and_strangers_are_refused(served) -> None:
    running = served()
    await running.send(1)
    url = f"{running.url}/_touchstone/v1/feedback"

    def post(body: str) -> int:
        request = urllib.request.Request(url, body.encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)

    def thumb(exchange: str) -> str:
        return f'{{"exchange": "{exchange}", "metric": "thumbs_up", "value": true}}'

    exchange = running.answered[0]
    running.wait_for(lambda: running.store.find_exchange(exchange) is not None)

    assert [await asyncio.to_thread(post, thumb(exchange)) for _ in range(2)] == [200, 200]
    assert await asyncio.to_thread(post, thumb("01890a5d-ac96-774b-bcce-b302099a8057")) == 404
    assert await asyncio.to_thread(post, thumb(exchange).replace("thumbs_up", "applause")) == 422
    assert await asyncio.to_thread(post, "{") == 400
    running.stop()
    assert _rows(running, "SELECT metric, value FROM feedback") == [("thumbs_up", 1.0)]


def test_no_child_outlives_a_killed_supervisor(served) -> None:
    running = served(workers=2)
    children = running.pids("proxy") + running.pids("control")

    running.process.kill()
    running.process.wait()

    assert len(children) == 3
    assert running.wait_for(lambda: not any(_alive(pid) for pid in children), seconds=15)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
