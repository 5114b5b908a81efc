r"""Texts in the tensors of a KServe v2 body: in its JSON, or in the raw bytes that may follow the JSON.

A captured body is text: bytes that are no UTF-8 were replaced by U+FFFD when it was recorded. In raw bytes each element
of a text tensor has its length in front (4 bytes, little-endian), of which the first is often no UTF-8. So a tensor of
one element is read by its place, and one of several by their lengths, where nothing was replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgspec

from experiments.protocols.base import decode_json
from experiments.protocols.fields import count, mapping

_find_end = json.JSONDecoder().raw_decode
_REPLACED, _STAND_IN = "\ufffd", "\x1a"  # the stand-in is one byte, as what was replaced mostly was


def read_head(body: str) -> tuple[dict[str, Any], str]:
    """Return a body's JSON object and what follows it; an empty object for anything else."""
    whole = decode_json(body)
    if isinstance(whole, dict):
        return whole, ""
    start = body.lstrip()
    try:
        _, end = _find_end(start)
    except (ValueError, RecursionError):
        return {}, ""
    # Read again by the stricter reader: a lone surrogate is no text that could be stored.
    return mapping(decode_json(start[:end])), start[end:]


def tensors_text(tensors: list[dict[str, Any]], binary: str, name: str) -> str | None:
    """Return the tensor of this name as text, else all that are texts, else the numbers as JSON, else None.

    >>> tensors_text([{"name": "p", "datatype": "FP32", "shape": [2], "data": [0.25, 0.75]}], "", "text_output")
    '[0.25,0.75]'
    """
    texts = [tensor for tensor in tensors if tensor.get("datatype") == "BYTES"]
    chosen = [tensor for tensor in texts if tensor.get("name") == name] or texts
    if not chosen:
        return _numbers(tensors)
    raw = _Raw(tensors, binary)
    found = [element for tensor in chosen for element in raw.elements(tensor)]
    return "\n".join(found) if found else None


def _numbers(tensors: list[dict[str, Any]]) -> str | None:
    data = [tensor["data"] for tensor in tensors if isinstance(tensor.get("data"), list)]
    try:
        return msgspec.json.encode(data[0] if len(data) == 1 else data).decode() if data else None
    except (ValueError, RecursionError):
        return None


class _Raw:
    """The raw bytes behind the JSON, cut into the tensors that they belong to."""

    def __init__(self, tensors: list[dict[str, Any]], binary: str) -> None:
        self._exact = _REPLACED not in binary
        self._bytes = binary.replace(_REPLACED, _STAND_IN).encode("utf-8", "replace")
        sizes = [_binary_size(tensor) or 0 for tensor in tensors]
        starts = accumulate(sizes, initial=0)
        self._starts = {id(tensor): start for tensor, start in zip(tensors, starts, strict=False)}

    def elements(self, tensor: dict[str, Any]) -> Iterator[str]:
        size = _binary_size(tensor)
        if size is None:
            yield from _flat(tensor.get("data"))
            return
        start = self._starts[id(tensor)]
        piece = self._bytes[start : start + size]
        if tensor.get("shape") in ([1], [1, 1]):
            yield piece[4:].decode("utf-8", "replace")
        elif self._exact:
            yield from _by_length(piece)


def _binary_size(tensor: dict[str, Any]) -> int | None:
    return count(mapping(tensor.get("parameters")).get("binary_data_size"))


def _by_length(piece: bytes) -> Iterator[str]:
    at = 0
    while at + 4 <= len(piece):
        end = at + 4 + int.from_bytes(piece[at : at + 4], "little")
        yield piece[at + 4 : end].decode("utf-8", "replace")
        at = end


def _flat(data: Any) -> Iterator[str]:
    """Yield the texts of nested lists, without recursion: how deep they go is up to the sender."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting += reversed(value)
