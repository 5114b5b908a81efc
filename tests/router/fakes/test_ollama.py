"""The fake's Ollama API, as its callers see it: tests of the protocol rest on it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from experiments.protocols import protocol
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda **behaviour: stack.enter_context(serving(FakeBackend(Behaviour(**behaviour))))


async def post(url: str, body: object) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, response.content_type, await response.text()


@pytest.mark.parametrize(("path", "asked"), [("chat", CHAT), ("generate", {"model": "m", "prompt": "one two"})])
async def test_it_streams_lines_unless_told_otherwise(start, path: str, asked: dict) -> None:
    url = f"{start(chunks=4)}/api/{path}"

    _, streamed_type, stream = await post(url, asked)
    _, plain_type, plain = await post(url, asked | {"stream": False})

    assert (streamed_type, plain_type) == ("application/x-ndjson", "application/json")
    assert [json.loads(line)["done"] for line in stream.splitlines()] == [False] * 4 + [True]
    read = protocol("ollama").answer
    assert read(stream) == read(plain)
    assert read(plain)[:4] == ("echo: one two", "stop", 2, 3)


async def test_it_calls_the_tool_that_it_is_offered_as_often_as_it_is_told(start) -> None:
    url = f"{start(tool_calls=2)}/api/chat"

    for body in (CHAT | {"tools": TOOLS}, CHAT | {"tools": TOOLS, "stream": False}):
        assert protocol("ollama").answer((await post(url, body))[2]).tool_calls == 2
    assert protocol("ollama").answer((await post(url, CHAT))[2]).tool_calls == 0


async def test_it_embeds(start) -> None:
    _, _, body = await post(f"{start()}/api/embed", {"model": "m", "input": ["a b", "c"]})

    assert json.loads(body) == {"model": "fake", "embeddings": [[0.25, -0.5]] * 2, "prompt_eval_count": 3}


async def test_its_errors_have_the_shape_of_the_protocol(start) -> None:
    assert await post(f"{start(status=503)}/api/chat", CHAT) == (
        503,
        "application/json",
        '{"error":"scripted failure"}',
    )
    assert (await post(f"{start()}/api/chat", []))[0] == 400
    assert (await post(f"{start()}/api/nonsense", {}))[0] == 404


async def test_a_stream_breaks_off_after_so_many_pieces(start) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(f"{start(chunks=5, break_after_chunks=2)}/api/chat", CHAT)
