"""Golden items: the lines of a golden set, each read or refused with its place, its key and the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rapidfuzz import fuzz, process

from experiments.golden.expectations import Expected, check, flaw

_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)
_TYPO, _NEAR = 85.0, 70.0
"""Likeness in percent: of a typo, where other keys are allowed; of a suggestion, where the key is wrong anyway."""
_EXPECTED_KEYS = Expected.__struct_encode_fields__


class GoldenError(Exception):
    """A golden set that cannot be read: file, line, and what is wrong."""


class GoldenItem(msgspec.Struct, frozen=True, kw_only=True):
    """One request, with what a right answer to it is."""

    id: str
    request: dict[str, Any]
    """The whole body, as it is sent."""
    expected: Expected
    tags: dict[str, str] = {}
    """Name -> value; the value is empty for a tag that is only a name."""
    critical: bool = False
    """Whether no loss of it is accepted, whatever the rest says."""
    example: str | None = None
    """An answer that meets the expectation; held against it when the set is read."""
    counterexample: str | None = None
    """An answer that does not."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags as the names of slices: `language=hi`, or `refund`."""
        return tuple(f"{name}={value}" if value else name for name, value in self.tags.items())


class _Line(msgspec.Struct, kw_only=True):
    id: str
    request: dict[str, Any] | None = None
    prompt: str | None = None
    expected: Expected
    tags: dict[str, str] | list[str] = {}
    critical: bool = False
    example: str | None = None
    counterexample: str | None = None


_KEYS = _Line.__struct_encode_fields__


class _RefusalError(Exception):
    """What is wrong with a line: key and rule."""

    def __init__(self, key: str, rule: str, meant: str = "") -> None:
        suggestion = f' (did you mean "{meant}"?)' if meant else ""
        # What is quoted may have line breaks; an error is one line.
        super().__init__(" ".join(f"{f'{key}: ' if key else ''}{rule}{suggestion}".splitlines()))


def read_items(path: Path) -> tuple[GoldenItem, ...]:
    """Read the items of a golden set; blank lines are passed over.

    Raises:
        GoldenError: The file cannot be read, or a line is no golden item; the message names file and line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise GoldenError(f"{path}: {error.strerror}") from error
    items: list[GoldenItem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = read_item(line)
            if item.id in seen:
                raise _RefusalError("id", f'"{item.id}" has line {seen[item.id]} already')  # noqa: TRY301  # one way out
        except _RefusalError as refusal:
            raise GoldenError(f"{path}:{number}: {refusal}") from refusal
        seen[item.id] = number
        items.append(item)
    return tuple(items)


def read_item(line: bytes) -> GoldenItem:
    """Read one line.

    Raises:
        _RefusalError: It is no golden item.
    """
    try:
        raw = msgspec.json.decode(line)
    except _UNREADABLE as error:
        raise _RefusalError("", f"is no JSON: {error}") from error
    if not isinstance(raw, dict):
        raise _RefusalError("", "must be a JSON object")
    _check_keys(raw)
    try:
        read = msgspec.convert(raw, _Line)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at ")
        raise _RefusalError(place.strip("`").removeprefix("$").removeprefix("."), rule) from error
    _check_meaning(read)
    return GoldenItem(
        id=read.id,
        request=read.request if read.request is not None else asked(read.prompt or ""),
        expected=read.expected,
        tags=dict.fromkeys(read.tags, "") if isinstance(read.tags, list) else read.tags,
        critical=read.critical,
        example=read.example,
        counterexample=read.counterexample,
    )


def asked(prompt: str) -> dict[str, Any]:
    """Return the request that the short form stands for: a chat of one message, asking for the likeliest answer."""
    return {"messages": [{"role": "user", "content": prompt}], "temperature": 0}


def _check_keys(raw: Mapping[str, Any]) -> None:
    """Refuse keys that are wrong. Beside an item's own keys others may stand, comments say, but no near misses.

    Raises:
        _RefusalError: A key is missing, unknown or a near miss.
    """
    for key in raw:
        if key not in _KEYS and (meant := _nearest(key, set(_KEYS) - raw.keys(), _TYPO)):
            raise _RefusalError(key, "is no key of a golden item", meant)
    for key in ("id", "expected"):
        if key not in raw:
            raise _RefusalError(key, "is missing")
    if ("request" in raw) == ("prompt" in raw):
        raise _RefusalError("request", "either request or prompt must be given, and not both")
    for key in _keys_of(raw["expected"]):
        if key not in _EXPECTED_KEYS:
            raise _RefusalError(f"expected.{key}", "is no key of an expectation", _nearest(key, _EXPECTED_KEYS, _NEAR))


def _nearest(key: str, allowed: Iterable[str], likeness: float) -> str:
    # Not that of `experiments.config`, which reads golden sets itself: the two would import each other.
    found = process.extractOne(key, sorted(allowed), scorer=fuzz.ratio, score_cutoff=likeness)
    return found[0] if found else ""


def _keys_of(value: Any) -> Iterator[str]:
    yield from value if isinstance(value, dict) else ()


def _check_meaning(read: _Line) -> None:
    if not read.id.strip():
        raise _RefusalError("id", "must not be empty")
    found = flaw(read.expected)
    if found is not None:
        raise _RefusalError(f"expected.{found.key}".rstrip("."), found.rule)
    if read.example is not None and check(read.expected, read.example) is False:
        raise _RefusalError("example", "does not meet what is expected")
    if read.counterexample is not None and check(read.expected, read.counterexample):
        raise _RefusalError("counterexample", "meets what is expected")
