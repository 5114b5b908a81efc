"""Texts without what must not be kept: what a pattern matches becomes `[redacted]`. Pure.

Patterns are RE2's, whose time is linear in the text whatever the text is: a hostile one cannot hold a proxy up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import re2  # type: ignore[import-untyped]

REDACTED = "[redacted]"
CUT_END_BYTES = 256
"""What a text loses of an end which is not its own: a match may begin there that no pattern can see."""
_PROBES = (b"", b"a", b"1 a", b"-", b"\n")


class PatternError(ValueError):
    """A pattern that cannot be used; its text is the rule that is broken."""


class Redactor:
    """Replaces what any of several patterns matches.

    Args:
        patterns: In RE2's syntax.

    Raises:
        PatternError: One of them is no pattern, or matches the empty text.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_compile(pattern) for pattern in patterns]

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._patterns)} patterns>"

    def __call__(self, text: str, *, cut: bool = False) -> str:
        """Return a text without what matches; matches that overlap or touch are replaced as one.

        Args:
            text: Any text.
            cut: Whether it is cut off: its last 256 bytes then go as well, and the match that reaches into them. A
                match that begins before them and whose end is missing is not found.
        """
        data = text.encode("utf-8", "replace")
        spans = [(begin, end) for pattern in self._patterns for begin, end in _spans(pattern, data)]
        if cut:
            spans.append((max(0, len(data) - CUT_END_BYTES), len(data)))
        if not spans:
            return text
        kept, at = [], 0
        for begin, end in _joined(sorted(spans)):
            kept.append(data[at:begin].decode("utf-8", "ignore"))  # the cut may be in the middle of a character
            at = end
        kept.append(data[at:].decode("utf-8", "ignore"))
        return REDACTED.join(kept)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that cannot be used.

    Raises:
        PatternError: It says why.
    """
    _compile(pattern)


def _spans(pattern: re2._Regexp, data: bytes) -> Iterator[tuple[int, int]]:
    # A pattern may match the empty text at a place that no probe has; that covers nothing.
    return (match.span() for match in pattern.finditer(data) if match.end() > match.start())


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin, end = spans[0]
    for next_begin, next_end in spans[1:]:
        if next_begin > end:
            yield begin, end
            begin = next_begin
        end = max(end, next_end)
    yield begin, end


def _compile(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        said = error.args[0] if isinstance(error, re2.error) and error.args else error
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise PatternError(f"is no pattern of RE2: {said}") from error
    if any(match.end() == match.start() for probe in _PROBES for match in compiled.finditer(probe)):
        raise PatternError("matches the empty text, which is everywhere")
    return compiled
