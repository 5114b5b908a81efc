"""The fake backend on a real port: tests rest on it, so it must do what its script says, and nothing else."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.fakes.backend import Behaviour, FakeBackend, echo, sometimes_wrong
from router.fakes.server import serving
from router.processes.workers import bind

ROOT = Path(__file__).parents[3]
CHAT = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., tuple[FakeBackend, str]]]:
    with ExitStack() as stack:

        def start(**behaviour) -> tuple[FakeBackend, str]:
            backend = FakeBackend(Behaviour(**behaviour))
            return backend, stack.enter_context(serving(backend))

        yield start


async def post(url: str, body: object) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, await response.read()


async def test_the_openai_sdk_understands_all_of_its_answers(start) -> None:
    _, url = start(chunks=4)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        chat = await client.chat.completions.create(**CHAT)
        completion = await client.completions.create(model="m", prompt="one two")
        chunks = [chunk async for chunk in await client.chat.completions.create(**CHAT, stream=True)]
        texts = [chunk async for chunk in await client.completions.create(model="m", prompt="one two", stream=True)]
        models = await client.models.list()
        embeddings = await client.embeddings.create(model="m", input="x", encoding_format="float")

    assert chat.choices[0].message.content == completion.choices[0].text == "echo: one two"
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens, chat.usage.total_tokens) == (2, 3, 5)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "echo: one two"
    assert "".join(chunk.choices[0].text for chunk in texts) == "echo: one two"
    assert len(chunks) == 5, "four pieces, and one that ends them"
    assert (chunks[-1].choices[0].finish_reason, chunks[-1].usage.total_tokens) == ("stop", 5)
    assert [model.id for model in models.data] == ["fake"]
    assert embeddings.data[0].embedding == [0.25, -0.5]


async def test_it_keeps_what_it_received_and_echoes_what_it_does_not_know(start) -> None:
    backend, url = start()

    async with aiohttp.ClientSession() as session:
        await session.put(f"{url}/a%20b?x=1", data=bytes(range(256)), headers={"x-one": "1"})
        async with session.post(f"{url}/v1/chat/completions", data=b"{no json") as response:
            echoed = await response.json()

    first, second = backend.received
    assert (first["method"], first["path"], first["query"], first["body"]) == ("PUT", "/a b", b"x=1", bytes(range(256)))
    assert (b"x-one", b"1") in first["headers"]
    assert (second["body"], echoed["body"]) == (b"{no json", "{no json")
    assert backend.counts == {"/a b": 1, "/v1/chat/completions": 1}


async def test_a_scripted_status_is_an_error_that_the_sdk_raises(start) -> None:
    _, url = start(status=503)

    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.InternalServerError, match="scripted failure"):
            await client.chat.completions.create(**CHAT)


@pytest.mark.parametrize("pieces", [0, 1, 3])
async def test_a_stream_breaks_off_after_so_many_pieces(start, pieces: int) -> None:
    _, url = start(chunks=5, break_after_chunks=pieces)
    received = bytearray()

    with pytest.raises(aiohttp.ClientPayloadError):
        await _stream_into(received, f"{url}/v1/chat/completions")

    assert received.count(b"data: ") == pieces
    assert b"[DONE]" not in received


async def _stream_into(received: bytearray, url: str) -> None:
    stream = CHAT | {"stream": True}
    async with aiohttp.ClientSession() as session, session.post(url, json=stream) as response:
        async for piece in response.content.iter_any():
            received += piece


async def test_it_waits_as_long_as_it_is_told_before_the_headers_and_between_pieces(start) -> None:
    _, url = start(delay_ms=80, chunks=3, chunk_delay_ms=60)
    clock = asyncio.get_running_loop().time
    started = clock()

    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=CHAT | {"stream": True}) as response,
    ):
        headers_after = clock() - started
        await response.read()

    assert headers_after >= 0.08
    assert clock() - started >= 0.08 + 3 * 0.06


async def test_a_caller_that_goes_away_is_counted(start) -> None:
    backend, url = start(hang=True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await post(f"{url}/v1/chat/completions", CHAT)

    for _ in range(100):
        if backend.cancelled:
            break
        await asyncio.sleep(0.02)
    assert backend.cancelled == 1


async def test_its_behaviour_can_be_changed_while_it_runs(start) -> None:
    backend, url = start()
    before = await post(f"{url}/v1/chat/completions", CHAT)
    backend.behaviour = Behaviour(answer=str.upper)
    after = await post(f"{url}/v1/chat/completions", CHAT)

    assert b"echo: one two" in before[1]
    assert b"ONE TWO" in after[1]


@given(text=st.text(max_size=60), pieces=st.integers(1, 70))
def test_the_pieces_of_a_stream_are_the_answer(text: str, pieces: int) -> None:
    """Without a port: whatever the text and the number of pieces, nothing is lost and nothing doubled."""
    sent: list[bytes] = []
    request = [{"type": "http.request", "body": json.dumps({"prompt": "x", "stream": True}).encode()}]

    async def receive() -> dict:
        if not request:
            await asyncio.Event().wait()
        return request.pop()

    async def send(message: dict) -> None:
        sent.append(message.get("body", b""))

    scope = {
        "type": "http", "method": "POST", "path": "/v1/completions", "raw_path": b"/v1/completions",
        "query_string": b"", "headers": [],
    }  # fmt: skip
    asyncio.run(FakeBackend(Behaviour(answer=lambda _: text, chunks=pieces))(scope, receive, send))

    events = [json.loads(body[6:]) for body in sent if body.startswith(b"data: {")]
    assert "".join(event["choices"][0]["text"] for event in events) == text
    assert len(events) == pieces + 1
    assert sent[-1] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_it_is_wrong_for_the_share_of_the_prompts_that_it_is_told(share: float) -> None:
    prompts = [f"question {number}" for number in range(2_000)]
    answer = sometimes_wrong(share, seed=7)

    wrong = [prompt for prompt in prompts if answer(prompt) != echo(prompt)]

    assert abs(len(wrong) / len(prompts) - share) < 0.05
    assert wrong == [prompt for prompt in prompts if sometimes_wrong(share, seed=7)(prompt) == "wrong"]
    assert share in {0.0, 1.0} or wrong != [p for p in prompts if sometimes_wrong(share, seed=8)(p) == "wrong"]


def test_as_a_command_it_says_that_its_answers_are_simulated() -> None:
    with bind("127.0.0.1:0") as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "router.fakes", "--port", str(port), "--wrong-share", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"fake backend on port {port}: answers are SIMULATED\n"
            with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=9) as client:
                answered = client.chat.completions.create(**CHAT)
            assert answered.choices[0].message.content == "wrong"
        finally:
            process.terminate()


async def test_it_fails_for_the_share_of_the_requests_that_it_is_told(start) -> None:
    _, never = start()
    _, always = start(fail_share=1.0)
    _, mostly = start(fail_share=0.5)
    statuses = [(await post(f"{mostly}/v1/chat/completions", CHAT))[0] for _ in range(60)]

    assert (await post(f"{never}/v1/chat/completions", CHAT))[0] == 200
    assert (await post(f"{always}/v1/chat/completions", CHAT))[0] == 500
    assert set(statuses) == {200, 500}
