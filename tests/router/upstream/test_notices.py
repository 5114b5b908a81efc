"""A termination notice drains a backend while it stands; an address that is silent changes nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from experiments.config.records import Backend, RouterSettings
from experiments.config.serving import Spot
from experiments.model import ErrorKind
from router.errors import UpstreamError
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.upstream.notices import NoticePoll
from router.upstream.upstream import Transports, Upstream


@pytest.fixture(name="transports")
async def _transports() -> AsyncIterator[Transports]:
    transports = Transports(RouterSettings())
    yield transports
    await transports.close()


async def test_a_notice_drains_the_backend_and_its_end_lifts_the_drain(transports: Transports) -> None:
    metadata, model = FakeBackend(Behaviour(status=404)), FakeBackend()
    with serving(metadata) as notice_url, serving(model) as url:
        upstream = Upstream(Backend(name="original", urls=(url, url)), transports, 30.0)
        transport = transports.of(notice_url)
        poll = NoticePoll("original", f"{notice_url}/v1/models?a=1", transport, upstream.note_termination)

        await poll.ask()
        before = [endpoint.drained for endpoint in upstream.endpoints]
        metadata.behaviour = Behaviour()
        await poll.ask()
        with pytest.raises(UpstreamError) as caught:
            await upstream.open("GET", "/v1/models", [], b"", last_resort=True)
        metadata.behaviour = Behaviour(status=404)
        await poll.ask()

    assert before == [False, False]
    assert caught.value.kind is ErrorKind.DRAINED
    assert not any(endpoint.drained for endpoint in upstream.endpoints)
    assert {(asked["path"], asked["query"]) for asked in metadata.received} == {("/v1/models", b"a=1")}


async def test_an_address_that_does_not_answer_changes_nothing(transports: Transports) -> None:
    told: list[bool] = []
    with serving(FakeBackend()) as url:
        poll = NoticePoll("original", f"{url}/v1/models", transports.of(url), told.append)
        await poll.ask()

    await poll.ask()

    assert (told, poll.noticed) == ([True], True)


async def test_it_polls_on_and_tells_each_change_once(transports: Transports) -> None:
    told: list[bool] = []
    backend = FakeBackend()
    with serving(backend) as url:
        poll = NoticePoll("original", f"{url}/v1/models", transports.of(url), told.append)
        running = asyncio.create_task(poll.run(poll_s=0.01))
        async with asyncio.timeout(5):
            while len(backend.received) < 5:  # noqa: ASYNC110  # the poll runs beside
                await asyncio.sleep(0.01)
        running.cancel()

    assert told == [True]


async def test_a_notice_of_one_spot_instance_leaves_the_others_alone(transports: Transports) -> None:
    spot = ("http://spot-1:8000/", "http://spot-2:8000")
    backend = Backend(name="pool", urls=(*spot, "http://on-demand:8000"), spot=Spot(urls=spot))
    upstream = Upstream(backend, transports, 30.0)

    upstream.note_termination_of(spot[0], True)
    upstream.drain({spot[1]})
    drained = [endpoint.drained for endpoint in upstream.endpoints]
    upstream.note_termination_of(spot[0], False)

    assert drained == [True, True, False]
    assert [endpoint.drained for endpoint in upstream.endpoints] == [False, True, False], "by hand stays by hand"
