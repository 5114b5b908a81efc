"""Where in a JSON file a key stands: location -> line. Python's own parser keeps no lines."""

from __future__ import annotations

import json
import re

from experiments.config.lines import Location

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


class JsonLines:
    r"""Lines of all keys and elements of a JSON document.

    Args:
        text: A document that Python's parser has taken.

    >>> lines = JsonLines('{"a":\n {"b": [1,\n 2]}}')
    >>> lines.line(("a",)), lines.line(("a", "b", 1)), lines.line(("a", "not there"))
    (1, 3, 1)
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Location, int] = {(): 1}
        self._at: list[str | int] = []
        line, seen, wants_key = 1, 0, False
        for found in _TOKEN.finditer(text):
            line += text.count("\n", seen, found.start())
            seen = found.start()
            wants_key = self._take(found[0], line, wants_key=wants_key)

    def line(self, location: Location) -> int:
        """Return the line of a key, or of its nearest ancestor that is there."""
        while location not in self._lines:
            location = location[:-1]
        return self._lines[location]

    def _take(self, token: str, line: int, *, wants_key: bool) -> bool:
        """Take the next token, and return whether a key may follow."""
        match token:
            case ":":
                return False
            case "}" | "]":
                self._at.pop()
                return False
            case ",":
                return self._next()
        if wants_key:
            self._at[-1] = json.loads(token)
            self._lines[tuple(self._at)] = line
            return False
        self._lines.setdefault(tuple(self._at), line)
        if token in {"{", "["}:
            self._at.append("" if token.startswith("{") else 0)
        return token.startswith("{")

    def _next(self) -> bool:
        """Go on to the next element, or to the next key."""
        here = self._at[-1]
        if isinstance(here, int):
            self._at[-1] = here + 1
        return isinstance(here, str)
