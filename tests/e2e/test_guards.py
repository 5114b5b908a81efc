"""What guards users beside the statistics: the gate, hard trips, a person's word, late harm. Backends are simulated."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from experiments.model import Phase
from router.fakes.backend import Behaviour

GOLDEN = '["header:x-language"]\ngolden = "golden.jsonl"'


def write_golden(folder: Path) -> None:
    """Thirty questions to which the fake's own answer, the question itself, is the right one."""
    items = [
        {"id": f"q{n}", "prompt": f"question {n}", "expected": {"contains": [f"question {n}"]}, "critical": n < 3}
        for n in range(60)
    ]
    (folder / "golden.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))


def touchstone(router, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "router", *arguments, "--config", str(router.config)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def says(router) -> str:
    return str(router.get("/api/v1/experiments")[0]["says"])


def command(router, name: str) -> None:
    """Give a command over the admin API."""
    body = json.dumps({"reason": "the pager rings"}).encode()
    url = f"{router.admin}/api/v1/experiments/support/{name}"
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
    urllib.request.urlopen(request, timeout=5).read()


async def test_no_user_meets_a_treatment_that_fails_the_golden_set_and_a_better_one_is_let_in(served, tmp_path) -> None:
    write_golden(tmp_path)
    wrong = Behaviour(answer=lambda _: "something else")
    router = served(slices=GOLDEN, treatment_behaviour=wrong, until="gated", ramp="[100]")
    router.wait_for(lambda: "golden set: Failed" in says(router))
    reached = sum(router.treatment.counts.values())
    await router.send(20)
    kept_out = (sum(router.treatment.counts.values()), router.phase(), says(router))

    router.treatment.behaviour = Behaviour()
    run = touchstone(router, "golden", "run", "support")
    begun = router.wait_for(lambda: router.phase() == "running")

    assert kept_out[:2] == (reached, "gated")
    assert "3 of 3 critical items wrong" in kept_out[2]
    assert (run.returncode, run.stdout.splitlines()[0][:7]) == (0, "Passed:"), run.stdout + run.stderr
    assert begun
    assert [t.actor for t in router.store.transitions("support")] == ["config", "gate"]


async def test_a_backend_that_is_not_there_keeps_the_gate_shut_and_an_a_a_run_goes_before_the_experiment(
    served,
) -> None:
    gate = '\n[backends.small.health]\npath = "/v1/models"\n[experiments.support.gate]\naa_units = 60\n'
    router = served(until="gated", mirror=100, ramp="[100]", extra=gate, treatment_behaviour=Behaviour(status=503))
    waits = router.wait_for(lambda: "small: its health check answers 503" in says(router))

    router.treatment.behaviour = Behaviour()
    begun = router.wait_for(lambda: "of 60 units analysed" in says(router))
    await router.send(80)
    running = router.wait_for(lambda: router.phase() == "running", seconds=10)

    assert (waits, begun, running) == (True, True, True), says(router)
    assert router.treatment.counts["/v1/chat/completions"] == 0
    moves = router.store.transitions("support")
    assert [(move.epoch, move.to_phase.value, move.split_basis_points) for move in moves] == [
        (1, "gated", 0),
        (1, "gated", 5_000),
        (2, "gated", 0),
        (2, "running", 10_000),
    ]
    assert "clean; control disagrees with itself in 0.0 % of pairs (agreement)" in moves[2].reason


async def test_a_treatment_that_answers_nothing_is_paused_within_seconds_and_resumed_by_hand(served) -> None:
    router = served(mirror=50)
    await router.send(40)
    router.treatment.behaviour = Behaviour(answer=lambda _: "")
    await router.send(120, first=1000)
    paused = router.wait_for(lambda: router.phase() == "paused", seconds=10)
    reason = router.store.transitions("support")[-1].reason

    router.treatment.behaviour = Behaviour()
    done = touchstone(router, "resume", "support", "--reason", "the weights were not loaded")

    assert paused, says(router)
    assert "answers have nothing in them" in reason
    assert (done.returncode, done.stdout) == (0, "support: paused -> running, split 50 %\n")
    resumed = [t for t in router.store.transitions("support") if t.from_phase is Phase.PAUSED]
    assert resumed[0].actor.startswith("cli:")


async def test_an_operator_stops_an_experiment_and_every_request_goes_to_control_within_a_second(served) -> None:
    router = served(workers=2, ramp="[100]", mirror=0)
    await router.send(20)
    command(router, "rollback")
    await asyncio.sleep(1.0)
    reached = sum(router.treatment.counts.values())

    await router.send(60, first=500)

    assert router.phase() == "rolled_back"
    assert sum(router.treatment.counts.values()) == reached
    assert len(router.answered) == 80
