"""Active health checks: so many answers of a kind in a row turn the verdict, and requests go where it is good."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import Health
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind
from router.upstream.health import HealthCheck
from router.upstream.upstream import Transports, Upstream

HEALTH = Health(path="/v1/models", interval_s=0.02, timeout_s=0.2, healthy_after=2, unhealthy_after=3)


@pytest.fixture(name="transports", params=["http1", "aiohttp"])
async def _transports(request: pytest.FixtureRequest) -> AsyncIterator[Transports]:
    transports = Transports(RouterSettings(http_transport=request.param))
    yield transports
    await transports.close()


def checked(transports: Transports, *urls: str) -> tuple[Upstream, list[HealthCheck]]:
    upstream = Upstream(Backend(name="original", urls=urls, health=HEALTH), transports, 30.0)
    return upstream, [HealthCheck(HEALTH, endpoint) for endpoint in upstream.endpoints]


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the checks run beside
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("behaviour", "good"),
    [
        (Behaviour(), True),
        (Behaviour(status=503), False),
        (Behaviour(status=404), False),
        (Behaviour(hang=True), False),
    ],
)
async def test_a_whole_2xx_in_time_is_good(transports: Transports, behaviour: Behaviour, good: bool) -> None:
    backend = FakeBackend(behaviour)
    with serving(backend) as url:
        _, [check] = checked(transports, url)

        assert await check.ask() is good
        assert backend.received[0]["method"] == "GET" if backend.received else behaviour.hang


async def test_nobody_at_the_address_is_no_good(transports: Transports) -> None:
    with bind("127.0.0.1:0") as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    _, [check] = checked(transports, url)

    assert not await check.ask()


async def test_so_many_in_a_row_turn_the_verdict_and_one_of_the_other_kind_starts_the_count_anew(
    transports: Transports,
) -> None:
    upstream, [check] = checked(transports, "http://127.0.0.1:9")
    verdicts = []

    for good in (False, False, True, False, False, False, True, False, True, True):
        check.note(good=good)
        verdicts.append(upstream.endpoints[0].healthy)

    assert verdicts == [True] * 5 + [False] * 4 + [True]


async def test_requests_go_to_the_healthy_endpoint_and_come_back_with_the_other(transports: Transports) -> None:
    sick, well = FakeBackend(Behaviour(status=503)), FakeBackend()
    with serving(sick) as first, serving(well) as second:
        upstream, checks = checked(transports, first, second)
        running = [asyncio.create_task(check.run()) for check in checks]

        await until(lambda: not upstream.endpoints[0].healthy)
        for _ in range(6):
            with await upstream.open("POST", "/echo", [], b"x") as response:
                await response.read()
        received = [r["path"] for r in sick.received]
        sick.behaviour = Behaviour()
        await until(lambda: upstream.endpoints[0].healthy)
        for task in running:
            task.cancel()

    assert "/echo" not in received
    assert all(endpoint.outstanding == 0 for endpoint in upstream.endpoints)


async def test_without_a_healthy_endpoint_only_the_last_resort_is_tried(transports: Transports) -> None:
    with serving(FakeBackend()) as url:
        upstream, _ = checked(transports, url)
        upstream.endpoints[0].healthy = False

        with pytest.raises(UpstreamError) as caught:
            await upstream.open("GET", "/v1/models", [], b"")
        with await upstream.open("GET", "/v1/models", [], b"", last_resort=True) as response:
            status = response.status

    assert (caught.value.kind, status) == (ErrorKind.UNAVAILABLE, 200)
