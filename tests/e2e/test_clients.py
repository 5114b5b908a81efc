"""Unmodified clients, straight at a backend and through the data plane: the same results, and a record of each.

Half of the users are on the treatment and every request is mirrored, so all that the router does is in the way. The
backends are the fakes; their answers are simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from tests_config import CHAT, make_config

from experiments.config.records import Match
from experiments.journal.format import Entry, read_segment
from experiments.journal.reading import read_texts
from experiments.model import Exchange, Phase, Role, Route
from experiments.stored import LoadedExchange
from router.app import build_app
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving
from router.processes.workers import bind

MESSAGES: Any = [{"role": "user", "content": "नमस्ते, how are you?"}]
TOOLS: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
ANSWER = "echo: नमस्ते, how are you?"
LONG = "long question " * 40
"""Longer than 127 bytes: the length in front of it is no UTF-8."""


@dataclass
class Routed:
    """A data plane, and a backend of its own kind to be asked without it."""

    direct: str
    url: str
    folder: Path

    @property
    def both(self) -> tuple[str, str]:
        return self.direct, self.url

    def read(self, count: int) -> list[LoadedExchange]:
        """Wait for the records of so many live requests and of their mirrored ones; returns what is read of them."""
        deadline = time.monotonic() + 5.0
        while True:
            entries = [entry for path in self.folder.glob("*.journal") for entry in read_segment(path)]
            found = [e.record for e in entries if isinstance(e, Entry) and isinstance(e.record, Exchange)]
            records = [record for record in found if record.experiment]  # others went to the default backend
            live = [record for record in records if record.role == Role.LIVE]
            if (len(live), len(records)) == (count, 2 * count) or time.monotonic() > deadline:
                assert (len(live), len(records)) == (count, 2 * count)
                return [read_texts(record) for record in records]
            time.sleep(0.02)


@pytest.fixture(name="routed")
def _routed(tmp_path: Path) -> Iterator[Callable[..., Routed]]:
    """Start a data plane for a path and a protocol; without backends, nothing listens behind it."""
    with ExitStack() as stack:

        def start(path: str, protocol: str = "openai", *, backends: bool = True, **behaviour: Any) -> Routed:
            folder, how = tmp_path / "journal", Behaviour(chunks=5, **behaviour)
            direct, *behind = [stack.enter_context(serving(FakeBackend(how))) for _ in range(3)]
            if not backends:
                with bind("127.0.0.1:0") as closed:
                    behind = [f"http://127.0.0.1:{closed.getsockname()[1]}"] * 2
            settings = {"default_backend": "original"}
            config = make_config(folder, *behind, match=Match(path=path), settings=settings)
            spoken = {name: b.model_copy(update={"protocol": protocol}) for name, b in config.backends.items()}
            config = config.model_copy(update={"backends": spoken})
            route = Route(
                experiment="support",
                epoch=1,
                phase=Phase.RUNNING,
                split_basis_points=5_000,
                mirror_basis_points=10_000,
                salt="support",
            )
            app = build_app(config, load_routes=lambda: [route], lookup_exchange=lambda _: None)
            return Routed(direct, stack.enter_context(serving(app)), folder)

        yield start


def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def async_sdk(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


# --- OpenAI's SDK -----------------------------------------------------------------------------------------------------


def test_a_chat_of_the_openai_sdk(routed) -> None:
    plane = routed(CHAT)
    found = []
    for url in plane.both:
        with sdk(url) as client:
            plain = client.chat.completions.create(model="m", messages=MESSAGES)
            stream = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
            found.append([answer.model_dump() for answer in (plain, *stream)])

    assert found[0] == found[1]
    assert found[1][0]["choices"][0]["message"]["content"] == ANSWER
    for read in plane.read(2):
        assert (read.prompt, read.answer, read.model, read.tool_calls) == (MESSAGES[0]["content"], ANSWER, "fake", 0)
        assert (read.input_tokens, read.output_tokens, read.tokens_estimated) == (4, 5, False)
        assert (read.inter_token_ms is not None) == read.exchange.stream


async def test_a_chat_of_the_async_openai_sdk(routed) -> None:
    plane = routed(CHAT)
    found = []
    for url in plane.both:
        async with async_sdk(url) as client:
            plain = await client.chat.completions.create(model="m", messages=MESSAGES)
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            found.append([plain.model_dump(), *[chunk.model_dump() async for chunk in stream]])

    assert found[0] == found[1]
    assert len(found[1]) == 1 + 5 + 1, "one plain answer, five pieces and what ends them"


def test_calls_of_tools_of_the_openai_sdk(routed) -> None:
    plane = routed(CHAT, tool_calls=2)
    found = []
    for url in plane.both:
        with sdk(url) as client:
            plain = client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS)
            with client.chat.completions.stream(model="m", messages=MESSAGES, tools=TOOLS) as stream:
                found.append([plain.model_dump(), stream.get_final_completion().model_dump()])

    assert found[0] == found[1]
    assert [len(answer["choices"][0]["message"]["tool_calls"]) for answer in found[1]] == [2, 2]
    assert [read.tool_calls for read in plane.read(2)] == [2] * 4


def test_completions_and_models_of_the_openai_sdk(routed) -> None:
    plane = routed("/v1/completions")
    found = []
    for url in plane.both:
        with sdk(url) as client:
            plain = client.completions.create(model="m", prompt="one two")
            stream = client.completions.create(model="m", prompt="one two", stream=True)
            found.append([plain.model_dump(), *[c.model_dump() for c in stream], client.models.list().model_dump()])

    assert found[0] == found[1]


def test_embeddings_of_the_openai_sdk(routed) -> None:
    plane = routed("/v1/embeddings")
    found = []
    for url in plane.both:
        with sdk(url) as client:
            found.append(client.embeddings.create(model="m", input=["a", "b"], encoding_format="float").model_dump())

    assert found[0] == found[1]
    assert found[1]["data"][0]["embedding"] == [0.25, -0.5]
    for read in plane.read(1):
        assert (read.prompt, read.answer, read.input_tokens, read.output_tokens) == ("a\nb", None, 2, None)


def test_responses_of_the_openai_sdk(routed) -> None:
    plane = routed("/v1/responses")
    found = []
    for url in plane.both:
        with sdk(url) as client:
            plain = client.responses.create(model="m", input="one two")
            events = [event.model_dump() for event in client.responses.create(model="m", input="one two", stream=True)]
            with client.responses.stream(model="m", input="one two") as stream:
                final = stream.get_final_response()
            found.append([plain.model_dump(), *events, final.output_text])

    assert found[0] == found[1]
    assert found[1][-1] == "echo: one two"
    for read in plane.read(3):
        assert (read.prompt, read.answer, read.finish_reason) == ("one two", "echo: one two", "completed")
        assert (read.input_tokens, read.output_tokens, read.tokens_estimated) == (2, 3, False)


async def test_responses_of_the_async_openai_sdk(routed) -> None:
    plane = routed("/v1/responses")
    found = []
    for url in plane.both:
        async with async_sdk(url) as client:
            stream = await client.responses.create(model="m", input="one two", stream=True)
            found.append([event.model_dump() async for event in stream])

    assert found[0] == found[1]
    assert [event["type"] for event in found[1]].count("response.output_text.delta") == 5


def test_the_openai_sdk_raises_its_own_exceptions(routed) -> None:
    failing, dead = routed(CHAT, status=503), routed(CHAT, backends=False)

    for url, status, message in ((failing.url, 503, "scripted failure"), (dead.url, 502, "backend")):
        with sdk(url) as client, pytest.raises(openai.InternalServerError, match=message) as caught:
            client.chat.completions.create(model="m", messages=MESSAGES)
        assert caught.value.status_code == status


# --- Ollama's client --------------------------------------------------------------------------------------------------

NO_OLLAMA = "Ollama's Python client is not installed: pip install 'touchstone-router[dev]'"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chat_of_the_ollama_client(routed, streamed: bool) -> None:
    ollama = pytest.importorskip("ollama", reason=NO_OLLAMA)
    plane = routed("/api/chat", "ollama")
    found = []
    for url in plane.both:
        with ollama.Client(host=url) as client:
            answer = client.chat(model="m", messages=MESSAGES, stream=streamed)
            found.append([part.model_dump() for part in (answer if streamed else [answer])])

    assert found[0] == found[1]
    assert "".join(part["message"]["content"] for part in found[1]) == ANSWER
    for read in plane.read(1):
        assert (read.prompt, read.answer, read.model, read.finish_reason) == (
            MESSAGES[0]["content"],
            ANSWER,
            "fake",
            "stop",
        )
        assert (read.input_tokens, read.output_tokens, read.tool_calls) == (4, 5, 0)
        assert read.exchange.stream == streamed
        assert (read.inter_token_ms is not None) == streamed


async def test_completions_and_embeddings_of_the_async_ollama_client(routed) -> None:
    ollama = pytest.importorskip("ollama", reason=NO_OLLAMA)
    plane = routed("/api/generate", "ollama")
    found = []
    for url in plane.both:
        async with ollama.AsyncClient(host=url) as client:
            parts = [part async for part in await client.generate(model="m", prompt="one two", stream=True)]
            embedded = await client.embed(model="m", input=["a", "b"])
            found.append([part.model_dump() for part in (*parts, embedded)])

    assert found[0] == found[1]
    assert "".join(part["response"] for part in found[1][:-1]) == "echo: one two"
    assert found[1][-1]["embeddings"] == [[0.25, -0.5]] * 2


def test_calls_of_tools_of_the_ollama_client(routed) -> None:
    ollama = pytest.importorskip("ollama", reason=NO_OLLAMA)
    plane = routed("/api/chat", "ollama", tool_calls=2)
    found = []
    for url in plane.both:
        with ollama.Client(host=url) as client:
            found.append(client.chat(model="m", messages=MESSAGES, tools=TOOLS).model_dump())

    assert found[0] == found[1]
    assert len(found[1]["message"]["tool_calls"]) == 2
    assert [read.tool_calls for read in plane.read(1)] == [2, 2]


def test_the_ollama_client_raises_its_own_exceptions(routed) -> None:
    ollama = pytest.importorskip("ollama", reason=NO_OLLAMA)
    failing = routed("/api/chat", "ollama", status=503)
    dead = routed("/api/chat", "ollama", backends=False)

    for url, status, message in ((failing.url, 503, "scripted failure"), (dead.url, 502, "backend")):
        with ollama.Client(host=url) as client, pytest.raises(ollama.ResponseError) as caught:
            client.chat(model="m", messages=MESSAGES)
        assert (caught.value.status_code, message in caught.value.error) == (status, True)
        assert not caught.value.error.startswith("{"), "the message itself, not a body that it could not read"


# --- Triton's client --------------------------------------------------------------------------------------------------

NO_TRITON = "Triton's Python client is not installed: pip install 'touchstone-router[dev]'"
INFER = "/v2/models/small/infer"


@pytest.mark.parametrize("in_binary", [False, True])
@pytest.mark.parametrize("question", ["one two", LONG])
def test_a_text_of_the_triton_client(routed, in_binary: bool, question: str) -> None:
    http = pytest.importorskip("tritonclient.http", reason=NO_TRITON)
    numpy = pytest.importorskip("numpy")
    plane = routed(INFER, "triton")
    asked = http.InferInput("text_input", [1], "BYTES")
    asked.set_data_from_numpy(numpy.array([question.encode()], dtype=object), binary_data=in_binary)
    outputs = None if in_binary else [http.InferRequestedOutput("text_output", binary_data=False)]
    found = []
    for url in plane.both:
        with http.InferenceServerClient(url.removeprefix("http://")) as client:
            assert client.is_server_live()
            answer = client.infer("small", [asked], outputs=outputs)
            found.append((answer.get_response(), answer.as_numpy("text_output").tolist()))

    assert found[0] == found[1]
    expected = f"echo: {question[:200]}"
    assert found[1][1] == [expected.encode() if in_binary else expected]
    for read in plane.read(1):
        assert (read.prompt, read.answer, read.model, read.tool_calls) == (question, expected, "small", None)


async def test_numbers_of_the_async_triton_client(routed) -> None:
    http = pytest.importorskip("tritonclient.http.aio", reason=NO_TRITON)
    numpy = pytest.importorskip("numpy")
    plane = routed(INFER, "triton")
    values = numpy.array([[0.5, -2.0, 1e-7]], dtype=numpy.float32)
    asked = http.InferInput("x", [1, 3], "FP32")
    asked.set_data_from_numpy(values)
    for url in plane.both:
        async with http.InferenceServerClient(url.removeprefix("http://")) as client:
            metadata = await client.get_model_metadata("small")
            answer = await client.infer("small", [asked])
        assert metadata["name"] == "small"
        assert numpy.array_equal(answer.as_numpy("OUTPUT0"), values)


def test_the_triton_client_raises_its_own_exceptions(routed) -> None:
    http = pytest.importorskip("tritonclient.http", reason=NO_TRITON)
    utils = pytest.importorskip("tritonclient.utils", reason=NO_TRITON)
    asked = http.InferInput("x", [1], "INT32")
    asked.set_data_from_numpy(pytest.importorskip("numpy").zeros(1, dtype="int32"))
    failing, dead = routed(INFER, "triton", status=503), routed(INFER, "triton", backends=False)

    for url, status, message in ((failing.url, "503", "scripted failure"), (dead.url, "502", "backend")):
        with (
            http.InferenceServerClient(url.removeprefix("http://")) as client,
            pytest.raises(utils.InferenceServerException) as caught,
        ):
            client.infer("small", [asked])
        assert caught.value.status() == status
        assert message in caught.value.message()
        assert "decoding" not in caught.value.message(), "the message itself, not a body that it could not read"
