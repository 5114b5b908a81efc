"""Request bodies: held where they may be needed twice, streamed where they are large, bounded in any case."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.config.serving import RouterSettings
from router.errors import BodyTooLargeError, ClientGoneError, OverloadedError
from router.front.bodies import BodyReader, StreamedBody


def client(pieces: Sequence[bytes], *, leaves: bool = False):
    """What a server hands on of a client that sends these pieces, or leaves after them."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append(
        {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b"", "more_body": False}
    )

    async def receive() -> dict:
        return messages.pop(0)

    return receive


def reader(**limits: int) -> BodyReader:
    return BodyReader(RouterSettings(**limits))


async def drained(body: bytes | StreamedBody) -> bytes:
    return body if isinstance(body, bytes) else b"".join([piece async for piece in body])


@given(pieces=st.lists(st.binary(min_size=1, max_size=20), max_size=20), may_stream=st.booleans())
def test_whichever_way_a_body_goes_it_arrives_as_it_was_sent_and_nothing_stays_held(pieces, may_stream) -> None:
    reading = reader(stream_body_bytes=30)

    async def arrive() -> bytes:
        body = await reading.read(client(pieces), None, may_stream=may_stream)
        assert isinstance(body, StreamedBody) == (may_stream and sum(map(len, pieces)) > 30)
        with reading.holding(body):
            return await drained(body)

    assert asyncio.run(arrive()) == b"".join(pieces)
    assert reading.held_bytes == 0


async def test_a_body_that_announces_its_length_is_streamed_from_its_first_piece() -> None:
    body = await reader(stream_body_bytes=30).read(client([b"a"] * 40), 40, may_stream=True)

    assert isinstance(body, StreamedBody)
    assert (body.head, body.length) == (b"a", 40)


@pytest.mark.parametrize("announced", [None, 101])
@pytest.mark.parametrize("may_stream", [True, False])
async def test_a_body_beyond_the_limit_is_refused_announced_or_not(announced: int | None, may_stream: bool) -> None:
    reading = reader(max_body_bytes=100, stream_body_bytes=10)

    with pytest.raises(BodyTooLargeError, match="larger than 100 bytes"):
        await drained(await reading.read(client([b"ab"] * 51), announced, may_stream=may_stream))

    assert reading.held_bytes == 0


@pytest.mark.parametrize("length", [100, 101])
async def test_a_body_that_comes_at_once_is_held_to_the_limit_too(length: int) -> None:
    async def receive() -> dict:
        return {"type": "http.request", "body": b"a" * length, "more_body": False}

    reading = reader(max_body_bytes=100)
    if length > 100:
        with pytest.raises(BodyTooLargeError):
            await reading.read(receive, None, may_stream=False)
    else:
        assert await reading.read(receive, None, may_stream=False) == b"a" * length


async def test_a_client_that_leaves_inside_its_body_is_no_request() -> None:
    with pytest.raises(ClientGoneError):
        await reader().read(client([b"a"], leaves=True), None, may_stream=False)

    body = await reader(stream_body_bytes=1).read(client([b"ab", b"c"], leaves=True), None, may_stream=True)
    with pytest.raises(ClientGoneError):
        await drained(body)
    assert isinstance(body, StreamedBody)
    assert isinstance(body.error, ClientGoneError)


async def test_all_held_bodies_together_are_bounded() -> None:
    reading = reader(max_held_bytes=10)
    first = await reading.read(client([b"12345", b"678"]), None, may_stream=False)

    with reading.holding(first), pytest.raises(OverloadedError):
        await reading.read(client([b"12", b"3"]), None, may_stream=False)

    assert await reading.read(client([b"12", b"3"]), None, may_stream=False) == b"123"


async def test_the_end_of_a_streamed_body_is_told_once_it_was_all_read() -> None:
    told: list[int] = []
    body = await reader(stream_body_bytes=1).read(client([b"ab", b"c"]), None, may_stream=True)
    assert isinstance(body, StreamedBody)
    body.on_end = lambda: told.append(body.passed_bytes)

    assert not body.started
    await drained(body)

    assert (told, body.started) == ([3], True)
