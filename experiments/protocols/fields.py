"""Fields of bodies that somebody else wrote: of the expected type, or None."""

from __future__ import annotations

from typing import Any

import msgspec

from experiments.protocols.base import UNREADABLE, Peek

_LARGEST = 2**31


class _Head(msgspec.Struct):
    model: str | None = None


_head = msgspec.json.Decoder(_Head).decode


def peek_model(body: bytes) -> Peek:
    """Read the field `model`; the rest of the body is skipped over, not built."""
    try:
        return Peek(_head(body).model)
    except UNREADABLE:
        return Peek()


def text(value: Any) -> str | None:
    """Return a text, or None.

    >>> text("stop"), text(3)
    ('stop', None)
    """
    return value if isinstance(value, str) else None


def count(value: Any) -> int | None:
    """Return a number of tokens that a column of the store can hold, or None.

    >>> count(7), count(-1), count(True), count(2**31)
    (7, None, None, None)
    """
    return value if type(value) is int and 0 <= value < _LARGEST else None


def mapping(value: Any) -> dict[str, Any]:
    """Return an object; empty if it is none."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; empty if it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def content(value: Any) -> str | None:
    r"""Return a content that is a text or a list of parts, of which those without text are left out.

    >>> content([{"type": "text", "text": "a"}, {"type": "image_url"}, "b"])
    'a\nb'
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else part for part in value]
    return "\n".join(part for part in parts if isinstance(part, str)) or None


def last_user_content(messages: list[Any]) -> str | None:
    """Return what the last message of the role `user` says."""
    users = [message for message in mappings(messages) if message.get("role") == "user"]
    return content(users[-1].get("content")) if users else None


def is_zero(value: Any) -> bool:
    """Whether it is the number 0, and not merely false or missing."""
    return type(value) in {int, float} and value == 0


def is_one_or_absent(value: Any) -> bool:
    """Whether one answer is asked for.

    >>> is_one_or_absent(None), is_one_or_absent(1), is_one_or_absent(True), is_one_or_absent(2)
    (True, True, False, False)
    """
    return value is None or (type(value) is int and value == 1)
