"""Mirrored requests: complete, random in order, bounded, and never in the user's way."""

import asyncio
import time

import aiohttp

from router.fakes.backend import Behaviour

CHAT = "/v1/chat/completions"
BODY = {"model": "support", "messages": [{"role": "user", "content": "hello"}]}


async def _send(url: str, count: int, **more: bool) -> list[float]:
    latencies = []
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            started = time.monotonic()
            async with session.post(url + CHAT, json=BODY | more, headers={"x-user-id": f"u{number}"}) as response:
                assert response.status == 200
                await response.read()
            latencies.append(time.monotonic() - started)
    return latencies


async def test_every_mirrored_request_is_paired_with_its_live_one_and_goes_to_the_other_variant(plane) -> None:
    running = plane(split=50, mirror=100)

    await _send(running.url, 60)

    live = {e.id: e for e in running.exchanges(60)}
    shadows = await asyncio.to_thread(running.exchanges, 60, "shadow")
    assert {s.pair for s in shadows} == live.keys()
    for shadow in shadows:
        original = live[shadow.pair]
        assert shadow.assigned != original.assigned
        assert (shadow.unit, shadow.epoch, shadow.request_text) == (
            original.unit,
            original.epoch,
            original.request_text,
        )
        assert original.pair == original.id


async def test_either_side_goes_first_about_as_often(plane) -> None:
    running = plane(split=0, mirror=100)

    await _send(running.url, 100)

    first = sum(e.shadow_first for e in running.exchanges(100))
    assert 25 <= first <= 75


async def test_the_mirrored_share_follows_the_configuration(plane) -> None:
    running = plane(split=0, mirror=20)

    await _send(running.url, 300)

    assert 30 <= sum(bool(e.pair) for e in running.exchanges(300)) <= 95


async def test_a_mirror_that_hangs_delays_nobody_and_is_recorded_as_given_up_at_shutdown(plane) -> None:
    running = plane(split=0, mirror=100)
    running.treatment.behaviour = Behaviour(hang=True)

    latencies = await _send(running.url, 20)
    await asyncio.to_thread(running.stop)

    assert max(latencies) < 1.0
    shadows = running.exchanges(20, "shadow")
    assert {s.error for s in shadows} == {"cancelled"}


async def test_beyond_its_limit_the_mirror_is_shed_and_counted_while_users_are_served(plane) -> None:
    running = plane(split=0, mirror=100, settings={"mirror_concurrency": 3})
    running.treatment.behaviour = Behaviour(hang=True)

    await _send(running.url, 10)

    shed = running.exchanges(7, "shadow")
    assert {s.error for s in shed} == {"shed"}
    assert running.app.shadows.shed == 7


async def test_the_mirror_leaves_half_of_a_backends_room_to_live_requests(plane) -> None:
    running = plane(split=0, mirror=100, backend={"max_outstanding": 4})
    running.treatment.behaviour = Behaviour(hang=True)

    await _send(running.url, 10)

    assert {s.error for s in running.exchanges(8, "shadow")} == {"shed"}


async def test_a_mirror_that_fails_is_an_outcome_of_its_variant(plane) -> None:
    running = plane(split=0, mirror=100)
    running.treatment.behaviour = Behaviour(status=500)

    await _send(running.url, 5)

    shadows = await asyncio.to_thread(running.exchanges, 5, "shadow")
    assert {(s.error, s.status) for s in shadows} == {("status", 500)}


async def test_over_a_connection_that_is_free_the_mirror_goes_without_a_task_and_is_recorded_the_same(plane) -> None:
    running = plane(split=0, mirror=100)

    await _send(running.url, 30)

    shadows = await asyncio.to_thread(running.exchanges, 30, "shadow")
    assert {(s.error, s.status, s.backend, bool(s.endpoint)) for s in shadows} == {("", 200, "int4", True)}
    assert all(s.response_text and s.latency_ms and s.ttft_ms for s in shadows)
    assert len(running.app.shadows) == 0


async def test_a_mirror_that_breaks_off_or_stalls_inside_its_answer_says_so(plane) -> None:
    running = plane(split=0, mirror=100, settings={"between_bytes_timeout_s": 0.4})
    await _send(running.url, 2)  # from here on there is a connection to be had

    running.treatment.behaviour = Behaviour(break_after_chunks=1)
    await _send(running.url, 1, stream=True)
    await asyncio.to_thread(running.exchanges, 3, "shadow")
    running.treatment.behaviour = Behaviour(chunk_delay_ms=60_000)
    await _send(running.url, 2, stream=True)

    shadows = await asyncio.to_thread(running.exchanges, 5, "shadow")
    assert [s.error for s in shadows] == ["", "", "reset", "timeout", "timeout"]
