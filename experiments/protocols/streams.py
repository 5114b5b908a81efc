"""The objects of a stream: server-sent events, or JSON a line.

Lines end in CRLF, LF or CR and nowhere else. `str.splitlines` would also cut at U+2028, U+0085 and others, which JSON
allows inside a string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from experiments.protocols.base import decode_json

_line_end = re.compile(r"\r\n|\n|\r")


def split_lines(stream: str) -> list[str]:
    r"""Split at CRLF, LF and CR.

    >>> split_lines("a\r\nb\u2028c\rd")
    ['a', 'b\u2028c', 'd']
    """
    return _line_end.split(stream) if "\r" in stream else stream.split("\n")


def event_objects(stream: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of server-sent events; events with anything else are left out.

    An event's data lines are joined, as the standard says. Where that is no JSON, each line is taken by itself: some
    servers leave out the empty line between two events. The last event counts even if its end is missing.
    """
    data: list[str] = []
    for line in split_lines(stream.removeprefix("\ufeff")):
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            yield from _objects(data)
            data = []
    yield from _objects(data)


def _objects(data: list[str]) -> Iterator[dict[str, Any]]:
    whole = decode_json("\n".join(data)) if data else None
    if isinstance(whole, dict):
        yield whole
    elif len(data) > 1:
        yield from (event for event in map(decode_json, data) if isinstance(event, dict))


def line_objects(stream: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a stream that has one a line (NDJSON)."""
    for line in split_lines(stream):
        event = decode_json(line) if line else None
        if isinstance(event, dict):
            yield event
