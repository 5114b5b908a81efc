"""The fake's Triton API, as its callers see it: tests of the protocol rest on it."""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from experiments.protocols import protocol
from router.fakes.backend import Behaviour, FakeBackend
from router.fakes.server import serving

TEXT = {"name": "text_input", "datatype": "BYTES", "shape": [2]}
NUMBERS = {"name": "x", "datatype": "FP32", "shape": [1, 2]}


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., str]]:
    with ExitStack() as stack:
        yield lambda **behaviour: stack.enter_context(serving(FakeBackend(Behaviour(**behaviour))))


async def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()


async def infer(url: str, tensor: dict, raw: bytes = b"", **more) -> tuple[dict, bytes]:
    """Ask; returns the answer's first tensor and its raw bytes."""
    head = json.dumps({"inputs": [tensor], **more}).encode()
    length = {"inference-header-content-length": str(len(head))} if raw else {}
    status, headers, body = await post(f"{url}/v2/models/small/infer", head + raw, **length)
    assert status == 200, body
    end = int(headers.get("inference-header-content-length", len(body)))
    return json.loads(body[:end])["outputs"][0], body[end:]


async def test_it_infers_texts_and_numbers_from_json(start) -> None:
    url = start()

    texts, _ = await infer(url, TEXT | {"data": ["one", "two"]})
    numbers, _ = await infer(url, NUMBERS | {"data": [[0.5, 2.0]]})

    assert texts == TEXT | {"name": "text_output", "data": ["echo: one", "echo: two"]}
    assert numbers == NUMBERS | {"name": "OUTPUT0", "data": [0.5, 2.0]}


@pytest.mark.parametrize(
    ("tensor", "raw", "expected"),
    [
        (TEXT, b"\x03\0\0\0one\x03\0\0\0two", b"\x09\0\0\0echo: one\x09\0\0\0echo: two"),
        (NUMBERS, struct.pack("<2f", 0.5, 2.0), struct.pack("<2f", 0.5, 2.0)),
    ],
)
@pytest.mark.parametrize("named", [False, True])
async def test_it_infers_in_binary_form(start, tensor: dict, raw: bytes, expected: bytes, named: bool) -> None:
    tensor = tensor | {"parameters": {"binary_data_size": len(raw)}}
    asked = {"outputs": [{"name": "any", "parameters": {"binary_data": True}}]} if named else {}
    wanted = asked or {"parameters": {"binary_data_output": True}}

    output, answered = await infer(start(), tensor, raw, **wanted)

    assert answered == expected
    assert output["parameters"] == {"binary_data_size": len(expected)}


async def test_it_generates_plain_and_as_a_stream(start) -> None:
    url, body = start(chunks=4), b'{"text_input": "one two"}'
    _, _, plain = await post(f"{url}/v2/models/small/generate", body)
    _, headers, stream = await post(f"{url}/v2/models/small/generate_stream", body)
    read = protocol("triton").answer

    assert read(plain.decode())[:1] == read(stream.decode())[:1] == ("echo: one two",)
    assert (headers["content-type"], stream.count(b"data: ")) == ("text/event-stream", 4)
    assert read(plain.decode()).model == read(stream.decode()).model == "small"


async def test_its_errors_have_the_shape_of_the_protocol(start) -> None:
    failing, url = start(status=503), start()

    assert (await post(f"{failing}/v2/models/small/infer", b"{}"))[::2] == (503, b'{"error":"scripted failure"}')
    assert (await post(f"{url}/v2/models/small/infer", b"{}"))[0] == 400
    assert (await post(f"{url}/v2/models/small/generate", b"[]"))[0] == 400
    assert (await post(f"{url}/v2/nonsense", b""))[0] == 404
