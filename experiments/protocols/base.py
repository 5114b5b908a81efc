"""The seam of a protocol: four methods."""

from __future__ import annotations

from typing import Any, NamedTuple
from typing import Protocol as TypingProtocol

import msgspec

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError)


class Peek(NamedTuple):
    """What routing needs of a request body."""

    model: str | None = None


class Answered(NamedTuple):
    """What the recorder reads from a response body."""

    text: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_estimated: bool = False
    """Whether the tokens were counted from chunks, because the backend did not report them."""


class Protocol(TypingProtocol):
    """What must be known of a protocol's bodies. No method raises, whatever the bytes are."""

    def peek(self, body: bytes) -> Peek:
        """Read what routing needs, and nothing else."""
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
    except _UNREADABLE:
        return None


def body_field(body: bytes, dotted_path: str) -> str | None:
    """Return a field of a JSON body as text, or None if it is not there or not a scalar.

    >>> body_field(b'{"metadata": {"tenant": "acme"}}', "metadata.tenant")
    'acme'
    """
    value = decode_json(body)
    for key in dotted_path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None
