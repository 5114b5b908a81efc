"""Two treatments against one control in one real `touchstone serve`: each finds its own end. Backends are simulated."""

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable

import aiohttp
import pytest

from experiments.model import Phase
from router.fakes.backend import Behaviour, FakeBackend, sometimes_wrong
from router.fakes.server import serving

SEVERAL = """
[backends.int8]
url = "{int8}"
price = {{ input = 0.5, output = 0.5 }}
[backends.int4]
url = "{int4}"
price = {{ input = 0.25, output = 0.25 }}

[experiments.web]
match = {{ path = "/v1/chat/completions", model = "web" }}
control = "original"
treatments = ["int8", "int4"]
ramp = [50]
mirror_percent = 100
unit = "header:x-user-id"
expose_variant = true
[experiments.web.guardrails]
agreement = {{ scorer = "agreement", margin = 0.1 }}
[experiments.web.goals]
cost = {{ better_by = "30%" }}
[experiments.web.policy]
min_days = 0
min_units = 150
settle_seconds = 1
"""
NAMES = ("web.int8", "web.int4")


async def send(router, numbers: Iterable[int], users: int, per_second: float) -> dict[str, set[str]]:
    """Return each user's variants, as the answers name them."""
    seen: dict[str, set[str]] = defaultdict(set)
    left, started = enumerate(numbers), time.monotonic()

    async def worker(session: aiohttp.ClientSession) -> None:
        for place, number in left:
            await asyncio.sleep(max(0.0, started + place / per_second - time.monotonic()))
            user = f"user-{number % users}"
            body = {"model": "web", "messages": [{"role": "user", "content": f"question {number}"}]}
            async with session.post(
                router.url + "/v1/chat/completions", json=body, headers={"x-user-id": user}
            ) as response:
                await response.read()
                seen[user].add(response.headers["x-touchstone-variant"])

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(12)))
    return seen


def users_of(backend: FakeBackend) -> list[bytes]:
    """Return whose requests it got, one by one; Touchstone's own questions come from nobody."""
    senders = (dict(request["headers"]).get(b"x-user-id") for request in backend.received)
    return [user for user in senders if user is not None]


def explained(router, name: str) -> str:
    command = [sys.executable, "-m", "router", "explain", name, "--config", str(router.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def phases(router) -> dict[str, str]:
    return {row["experiment"]: row["phase"] for row in router.get("/api/v1/experiments")}


@pytest.mark.cluster
async def test_of_two_treatments_the_good_one_is_promoted_and_the_bad_one_rolled_back_and_no_user_meets_both(
    served,
) -> None:
    int8, int4 = FakeBackend(), FakeBackend()
    with serving(int8) as url8, serving(int4) as url4:
        router = served(extra=SEVERAL.format(int8=url8, int4=url4))
        begun = router.wait_for(lambda: all(phases(router)[name] == Phase.RUNNING for name in NAMES))
        await asyncio.sleep(0.5)  # by then every proxy has read that they run
        seen = await send(router, range(240), users=80, per_second=150)

        int4.behaviour = Behaviour(answer=sometimes_wrong(0.4))
        sending = asyncio.ensure_future(send(router, range(80, 6_000), users=3_000, per_second=250))
        ends = {"web.int8": Phase.PROMOTED, "web.int4": Phase.ROLLED_BACK}
        ended = await asyncio.to_thread(router.wait_for, lambda: phases(router) | ends == phases(router), 30)
        sending.cancel()
        await asyncio.sleep(1.0)
        met = (set(users_of(int8)), set(users_of(int4)))
        for backend in (router.control, int8, int4):
            backend.received.clear()
        after = await send(router, range(80), users=80, per_second=150)

    assert begun
    assert ended, router.get("/api/v1/experiments")
    assert [len(variants) for variants in seen.values()] == [1] * 80, "a user always gets the same variant"
    assert {"control", "treatment"} == set.union(*seen.values())
    assert min(map(len, met)) > 100
    assert not met[0] & met[1], "no user has met both treatments, not even in a mirrored request"
    assert (users_of(int4), len(users_of(int8)) + len(users_of(router.control))) == ([], 80)
    assert set(users_of(int8)) <= met[0], "who was int8's is served by it, and everyone else by control"
    assert set(users_of(router.control)) <= met[1]
    assert set.union(*after.values()) == {"control", "treatment"}
    for name, end in ends.items():
        assert end.value.replace("_", " ") in explained(router, name)
        assert router.get(f"/api/v1/experiments/{name}/decisions")[-1]["to_phase"] == end
