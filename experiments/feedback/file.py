"""A file of feedback, line by line: CSV with a header, or one JSON object a line. Bounded memory, whatever its size.

    exchange,metric,value,at
    01890a5d-ac96-774b-bcce-b302099a8057,thumbs_up,true,2026-11-25T10:00:00Z

Instead of `exchange` there may be `unit`. A line that is wrong is one that says so; only a file that is none of ours is
an error.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from experiments.feedback.rules import Value

COLUMNS = frozenset({"exchange", "unit", "metric", "value", "at"})
_JSON_LINES = frozenset({".jsonl", ".ndjson", ".json"})
_MAX_LINE_BYTES = 256 * 1024
_NUMBERS = {"true": True, "false": False}


class FeedbackFileError(Exception):
    """A file is no file of feedback; the message says which and why."""


class Given(NamedTuple):
    """One feedback, as a line gives it."""

    metric: str
    value: Value
    exchange: str
    unit: str
    at: float | None
    """Seconds since the epoch (UTC); None if the line does not say."""


class Line(NamedTuple):
    """One line that has been read."""

    number: int
    """From 1, as editors count; of a record over several lines, its last."""
    given: Given | None
    fault: str = ""
    """Why it gives nothing."""


class _JsonLine(msgspec.Struct, forbid_unknown_fields=True):
    metric: str
    value: bool | float | str
    exchange: str = ""
    unit: str = ""
    at: float | str | None = None


def read_lines(file: BinaryIO, path: Path, texts: Callable[[str], object]) -> Iterator[Line]:
    """Yield the lines of a file that hold something.

    Args:
        file: Opened; how far it has been read is what its `tell` says.
        path: Its suffix says what it is: `.csv`, `.jsonl` or `.ndjson`.
        texts: Whether the values of a metric are texts: CSV has nothing else.

    Raises:
        FeedbackFileError: It is neither, its header is wrong, or a line is too long to be one.
    """
    suffix = path.suffix.lower()
    if suffix in _JSON_LINES:
        return _json_lines(file, path)
    if suffix == ".csv":
        return _csv_lines(file, path, texts)
    raise FeedbackFileError(f"{path}: a file of feedback is .csv, .jsonl or .ndjson")


def _physical(file: BinaryIO, path: Path) -> Iterator[bytes]:
    number = 0
    while line := file.readline(_MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > _MAX_LINE_BYTES:
            raise FeedbackFileError(f"{path}:{number}: longer than {_MAX_LINE_BYTES} bytes; nothing behind it was read")
        yield line


# --- JSON lines -------------------------------------------------------------------------------------------------------


def _json_lines(file: BinaryIO, path: Path) -> Iterator[Line]:
    decode = msgspec.json.Decoder(_JsonLine).decode
    for number, line in enumerate(_physical(file, path), 1):
        if not line.strip():
            continue
        try:
            found = decode(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
            yield _line(number, found.metric, found.value, found.exchange, found.unit, _time(found.at))
        except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as error:
            yield Line(number, None, str(error))


# --- CSV --------------------------------------------------------------------------------------------------------------


def _csv_lines(file: BinaryIO, path: Path, texts: Callable[[str], object]) -> Iterator[Line]:
    # What is no UTF-8 is kept as it is, so that its own line is refused and no other.
    reader = csv.reader(line.decode("utf-8", "surrogateescape") for line in _physical(file, path))
    columns = _columns(path, next(reader, []))
    at = {name: columns.index(name) if name in columns else None for name in COLUMNS}

    def cell(row: list[str], name: str) -> str:
        index = at[name]
        return "" if index is None else row[index].strip()

    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(reader.line_num, None, f"no CSV: {error}")
            continue
        if not any(row):
            continue
        try:
            _check_row(row, columns)
            metric = cell(row, "metric")
            value = cell(row, "value") if texts(metric) else _number(cell(row, "value"))
            when = _time(cell(row, "at") or None)
            yield _line(reader.line_num, metric, value, cell(row, "exchange"), cell(row, "unit"), when)
        except (ValueError, OverflowError) as error:
            yield Line(reader.line_num, None, str(error))


def _columns(path: Path, header: list[str]) -> list[str]:
    columns = [name.strip().removeprefix("\ufeff").lower() for name in header]
    if unknown := sorted(set(columns) - COLUMNS):
        known = "exchange, unit, metric, value, at"
        raise FeedbackFileError(f"{path}:1: unknown column {unknown[0]!r}; the columns are {known}")
    missing = [name for name in ("metric", "value") if name not in columns]
    if not {"exchange", "unit"} & set(columns):
        missing.insert(0, "exchange or unit")
    if missing:
        raise FeedbackFileError(f"{path}:1: no column {' and no column '.join(missing)}")
    if len(set(columns)) < len(columns):
        raise FeedbackFileError(f"{path}:1: a column is there twice")
    return columns


def _check_row(row: list[str], columns: list[str]) -> None:
    if len(row) != len(columns):
        raise ValueError(f"has {len(row)} fields, the header has {len(columns)}")
    for cell in row:
        if not cell.isascii() and any("\ud800" <= character <= "\udfff" for character in cell):
            raise ValueError("is no UTF-8")


def _number(text: str) -> Value:
    """Return what a cell says: true, false or a number; anything else stays the text that it is."""
    word = _NUMBERS.get(text.lower())
    if word is not None:
        return word
    try:
        # Python's own spelling of large numbers is nobody's else.
        return float(text) if "_" not in text else text
    except ValueError:
        return text


def _line(number: int, metric: str, value: Value, exchange: str, unit: str, at: float | None) -> Line:
    if bool(exchange) == bool(unit):
        return Line(number, None, "exactly one of exchange and unit must be given")
    return Line(number, Given(metric, value, exchange, unit, at))


def _time(at: float | str | None) -> float | None:
    """Return a time in seconds since the epoch.

    >>> _time("2026-11-25T10:00:00Z"), _time("2026-11-25 10:00:00"), _time("1796000000.5")
    (1795600800.0, 1795600800.0, 1796000000.5)

    Raises:
        ValueError: It is neither a number nor a date as ISO 8601 has it.
    """
    if not isinstance(at, str):
        return at
    try:
        return float(at)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        raise ValueError(
            f"at: {at[:40]!r} is neither seconds since 1970 nor a time such as 2026-11-25T10:00:00Z"
        ) from None
    # A time without its zone is UTC, on every machine.
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
