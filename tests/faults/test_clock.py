"""F17: the clock of the machine jumps an hour. Stages last their time, looks go on, durations stay what they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from tests_history import CONFIG, START, Answer, Life, bad, good, living

from experiments.evidence import Action, Code, Decision
from experiments.replay import replay
from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"
HOUR = 3600.0


class Clocks:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.steady_s = 50.0
        life.controller.start(life.now, self.steady_s)

    def second(self, number: int, answer: Answer = good, *, seconds: float = 1.0, jump_s: float = 0.0) -> Decision:
        """Let seconds pass, set the wall clock, serve some users and take a look."""
        self.life.now += seconds + jump_s
        self.steady_s += seconds
        self.life.serve(number * 40, number * 40 + 40, answer)
        [decision] = self.life.controller.tick(self.life.now, self.steady_s)
        return decision


@pytest.fixture(name="hourly")
def _hourly(tmp_path: Path) -> Iterator[Life]:
    """An experiment whose stages last an hour at least."""
    with living(tmp_path, CONFIG.replace("stage_min_minutes = 0", "stage_min_minutes = 60")) as life:
        yield life


def is_too_early(decision: Decision) -> bool:
    return decision.action is Action.HOLD and Code.TOO_EARLY in {reason.code for reason in decision.reasons}


def replays(life: Life) -> bool:
    return all(look.same for look in replay(life.store, life.config.experiments["support"], 1))


def test_f17_a_clock_that_jumps_ahead_shortens_no_stage(hourly: Life) -> None:
    clocks = Clocks(hourly)

    early = [clocks.second(0), clocks.second(1, jump_s=2 * HOUR), clocks.second(2)]
    on_time = clocks.second(3, seconds=HOUR)

    assert all(map(is_too_early, early))
    assert on_time.action is Action.ADVANCE
    assert replays(hourly)


def test_f17_a_clock_that_is_set_back_lengthens_no_stage_and_stops_no_look(hourly: Life) -> None:
    clocks = Clocks(hourly)

    early = [clocks.second(0), clocks.second(1, jump_s=-HOUR), clocks.second(2, seconds=HOUR - 10)]
    on_time = clocks.second(3, seconds=10)

    assert all(map(is_too_early, early))
    assert on_time.action is Action.ADVANCE
    assert replays(hourly)


@pytest.mark.parametrize("jump_s", [HOUR, -HOUR])
def test_f17_harm_is_found_as_soon_as_without_the_jump(tmp_path: Path, jump_s: float) -> None:
    actions = []
    for name, jump in (("calm", 0.0), ("jumps", jump_s)):
        (tmp_path / name).mkdir()
        with living(tmp_path / name) as life:
            clocks = Clocks(life)
            actions.append([clocks.second(n, bad, jump_s=jump * (n == 1)).action for n in range(2)])

    assert actions[0] == actions[1]
    assert Action.ROLLBACK in actions[0]


def test_f17_a_controller_that_starts_anew_after_the_clock_was_set_back_keeps_its_progress(hourly: Life) -> None:
    clocks = Clocks(hourly)
    clocks.second(0)
    clocks.second(1, seconds=HOUR / 2)
    hourly.restart()
    hourly.now = START - HOUR
    again = Clocks(hourly)

    early = again.second(2)
    on_time = again.second(3, seconds=HOUR / 2)

    assert is_too_early(early)
    assert on_time.action is Action.ADVANCE
    assert replays(hourly)


async def test_f17_durations_are_those_that_passed_though_the_clock_jumps_both_ways(
    plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = plane(split=0)
    running.control.behaviour = Behaviour(chunks=10, chunk_delay_ms=20)
    body = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
    real, jumped = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumped[0])

    async def jump() -> None:
        for seconds in (HOUR, -HOUR, 0.0):
            await asyncio.sleep(0.05)
            jumped[0] = seconds

    async with aiohttp.ClientSession() as session:
        jumping = asyncio.create_task(jump())
        async with session.post(running.url + CHAT, data=body) as response:
            assert (await response.read()).endswith(b"data: [DONE]\n\n")
        await jumping

    [exchange] = running.exchanges(1)
    assert exchange.ttft_ms is not None
    assert exchange.latency_ms is not None
    assert 0 <= exchange.ttft_ms <= exchange.latency_ms
    assert 150 < exchange.latency_ms < 5_000
