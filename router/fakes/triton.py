"""Scripted answers of Triton's KServe v2 API and its generate extension; tensors in JSON and in binary form.

`infer` answers a text tensor by the script, as `text_output`, and repeats numbers as `OUTPUT0`.
"""

from __future__ import annotations

import struct
from array import array
from typing import Any

import msgspec
from starlette.types import Scope, Send

from router.fakes import wire
from router.fakes.behaviour import Behaviour

_HEADER = b"inference-header-content-length"
_ARRAY_CODES = {"INT32": "i", "INT64": "q", "FP32": "f", "FP64": "d"}


def speaks(path: str) -> bool:
    """Whether a path is of this API."""
    return path.startswith("/v2/")


def error(message: str) -> dict[str, Any]:
    """Return an error's body."""
    return {"error": message}


async def serve(how: Behaviour, scope: Scope, body: bytes, send: Send) -> None:
    """Answer a request."""
    path = scope["path"]
    model = path.removeprefix("/v2/models/").partition("/")[0]
    if path.startswith("/v2/health/") or path.endswith("/ready"):
        await wire.whole(send, 200, b"text/plain", b"")
    elif path.endswith("/infer"):
        await _infer(how, model, scope, body, send)
    elif path.endswith(("/generate", "/generate_stream")):
        await _generate(how, model, path, wire.decode(body), send)
    elif path.startswith("/v2/models/"):
        tensor = {"datatype": "BYTES", "shape": [1]}
        described = {"inputs": [{"name": "text_input", **tensor}], "outputs": [{"name": "text_output", **tensor}]}
        await wire.json(send, 200, {"name": model, "versions": ["1"], "platform": "fake", **described})
    else:
        await wire.json(send, 404, error(f"no such path: {path}"))


async def _generate(how: Behaviour, model: str, path: str, request: Any, send: Send) -> None:
    if not isinstance(request, dict) or "text_input" not in request:
        await wire.json(send, 400, error("text_input is missing"))
        return
    envelope = {"model_name": model, "model_version": "1"}
    text = how.answer(str(request["text_input"]))
    if path.endswith("/generate"):
        await wire.json(send, 200, envelope | {"text_output": text})
        return
    await wire.start(send, 200, b"text/event-stream")
    async for piece in how.pieces(text):
        await wire.event(send, envelope | {"text_output": piece})
    await wire.end(send)


async def _infer(how: Behaviour, model: str, scope: Scope, body: bytes, send: Send) -> None:
    length = next((int(value) for name, value in scope["headers"] if name == _HEADER), len(body))
    request = wire.decode(body[:length])
    if not isinstance(request, dict) or not request.get("inputs"):
        await wire.json(send, 400, error("inputs are missing"))
        return
    data = _read(request["inputs"][0], body[length:])
    output, raw = _output(how, request["inputs"][0], data, in_binary=_wants_binary(request))
    head = msgspec.json.encode({"model_name": model, "model_version": "1", "outputs": [output]})
    if raw is None:
        await wire.whole(send, 200, b"application/json", head)
    else:
        marked = (_HEADER, str(len(head)).encode())
        await wire.whole(send, 200, b"application/octet-stream", head + raw, marked)


def _wants_binary(request: dict[str, Any]) -> bool:
    """Whether the answer's tensors follow the JSON as raw bytes: as the first one named asks, else all."""
    for output in request.get("outputs", []):
        return bool(output.get("parameters", {}).get("binary_data"))
    return bool(request.get("parameters", {}).get("binary_data_output"))


def _read(tensor: dict[str, Any], raw: bytes) -> list[Any]:
    """Return the elements of the first tensor, which lies first in the raw bytes."""
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is None:
        return list(_flat(tensor["data"]))
    if tensor["datatype"] != "BYTES":
        return array(_ARRAY_CODES[tensor["datatype"]], raw[:size]).tolist()
    texts, at = [], 0
    while at < size:
        (length,) = struct.unpack_from("<I", raw, at)
        texts.append(raw[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return texts


def _flat(data: list[Any]) -> list[Any]:
    return [item for part in data for item in (_flat(part) if isinstance(part, list) else [part])]


def _output(
    how: Behaviour, asked: dict[str, Any], data: list[Any], *, in_binary: bool
) -> tuple[dict[str, Any], bytes | None]:
    """Return the answer's tensor, and its raw bytes if they are to follow the JSON."""
    texts = asked["datatype"] == "BYTES"
    answer = [how.answer(text) for text in data] if texts else data
    output = {"name": "text_output" if texts else "OUTPUT0", "datatype": asked["datatype"], "shape": asked["shape"]}
    if not in_binary:
        return output | {"data": answer}, None
    if texts:
        raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in answer)
    else:
        raw = array(_ARRAY_CODES[asked["datatype"]], answer).tobytes()
    return output | {"parameters": {"binary_data_size": len(raw)}}, raw
