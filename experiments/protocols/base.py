"""The seam of a protocol: five methods."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from typing import Protocol as TypingProtocol

import msgspec

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError)
"""What decoding may raise, however hostile the bytes are."""


class Peek(NamedTuple):
    """What routing needs of a request body."""

    model: str | None = None


class Traits(NamedTuple):
    """What a request says of whether it may be repeated: from a cache, or to a second backend."""

    deterministic: bool = False
    """Whether it asks, in so many words, for the one most likely answer (a temperature of 0)."""
    tools: bool = False
    """Whether it offers tools, whose calls may have effects."""
    stateful: bool = False
    """Whether it reads or writes state that the backend keeps between requests."""


class Answered(NamedTuple):
    """What the recorder reads from a response body."""

    text: str | None = None
    finish_reason: str | None = None
    """In the backend's words; `refusal` for an answer that the protocol marks as one, `error` for a broken stream."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_estimated: bool = False
    """Whether the tokens were counted from chunks, because the backend did not report them."""
    model: str | None = None
    """The model that the answer names."""
    tool_calls: int | None = None
    """How many tools the answer calls; None if this kind of answer has no tools."""


class Protocol(TypingProtocol):
    """What must be known of a protocol's bodies. No method raises, whatever the bytes are."""

    def peek(self, body: bytes) -> Peek:
        """Read what routing needs, and nothing else."""
        ...

    def traits(self, body: bytes) -> Traits:
        """Say whether the request may be repeated; all False for a body that cannot be read."""
        ...

    def prompt(self, request_text: str) -> str | None:
        """Return what the user asked; None if that cannot be read."""
        ...

    def answer(self, response_text: str) -> Answered:
        """Return what the model answered, from a plain body or a stream."""
        ...

    def error(self, status: int, message: str, kind: str, code: str | None = None) -> tuple[bytes, bytes]:
        """Return (body, content type) of an error that unmodified clients can parse."""
        ...


def decode_json(body: bytes | str) -> Any:
    """Decode JSON; None for anything that is not, however hostile."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        return None


@lru_cache(maxsize=256)
def _field(key: str) -> Callable[[bytes | msgspec.Raw], Any]:
    """Return what reads one field of an object and builds none of the others."""
    kind = msgspec.defstruct("Field", [("value", msgspec.Raw, msgspec.Raw(b"null"))], rename={"value": key})
    return msgspec.json.Decoder(kind).decode


def body_field(body: bytes, dotted_path: str) -> str | None:
    """Return a field of a JSON body as text, or None if it is not there or not a scalar.

    >>> body_field(b'{"metadata": {"tenant": "acme"}}', "metadata.tenant")
    'acme'
    """
    found: bytes | msgspec.Raw = body
    try:
        for key in dotted_path.split("."):
            found = _field(key)(found).value
        value = msgspec.json.decode(found)
    except UNREADABLE:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None
