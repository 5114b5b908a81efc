r"""The journal's format: one line a record, its checksum and length in front. Codec and reader.

    <crc32, 8 hex> <length, 8 hex> <kind> <json>\n

The checksum and the length cover `<kind> <json>`. Kinds: `x` an exchange, `f` feedback, `e` the end of a segment that
was closed cleanly. JSON has no raw newline, so a newline always ends a record: after damage the reader goes on at the
next line, and a last line without a newline is a torn tail that may still be being written.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from experiments.model import Exchange, Feedback

SUFFIX = ".journal"
_HEADER = 18  # two fields of 8 hex digits, each with the space behind it
_encode = msgspec.json.Encoder().encode
_decode_exchange = msgspec.json.Decoder(Exchange).decode
_decode_feedback = msgspec.json.Decoder(Feedback).decode
_BLOCK = 1 << 20


class Entry(NamedTuple):
    """A whole record."""

    offset_after: int
    """Where the next record begins."""
    record: Exchange | Feedback


class Damaged(NamedTuple):
    """A line that is not a record: a flipped bit, a torn write in the middle. It is skipped and counted."""

    offset_after: int
    length: int


class End(NamedTuple):
    """The mark of a cleanly closed segment: nothing follows."""

    offset_after: int


def encode(record: Exchange | Feedback) -> bytes:
    """Encode a record as one line."""
    return _line((b"x " if type(record) is Exchange else b"f ") + _encode(record))


def end_mark() -> bytes:
    """Return the line that closes a segment."""
    return _line(b"e {}")


def _line(payload: bytes) -> bytes:
    return b"%08x %08x %b\n" % (crc32(payload), len(payload), payload)


def decode(line: bytes, offset_after: int) -> Entry | Damaged | End:
    """Decode one line (without its newline)."""
    payload = line[_HEADER:]
    try:
        sound = int(line[:8], 16) == crc32(payload) and int(line[9:17], 16) == len(payload)
        if not sound:
            return Damaged(offset_after, len(line) + 1)
        kind = payload[:2]
        if kind == b"e ":
            return End(offset_after)
        decoder = _decode_exchange if kind == b"x " else _decode_feedback
        return Entry(offset_after, decoder(payload[2:]))
    except (ValueError, msgspec.MsgspecError):
        return Damaged(offset_after, len(line) + 1)


def read_segment(path: Path, offset: int = 0) -> Iterator[Entry | Damaged | End]:
    """Yield everything that is whole from `offset` on; stops before a last line that has no newline yet."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = b""
        while block := file.read(_BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                offset += len(line) + 1
                yield decode(line, offset)


def writer_name(pid: int, started_ns: int) -> str:
    """Name a journal, of which a process has one: host, process, its start."""
    return f"{host_name()}~{pid}~{started_ns}"


def segment_name(pid: int, started_ns: int, sequence: int) -> str:
    """Name a segment: its journal and a number. Names of one journal sort by age."""
    return f"{writer_name(pid, started_ns)}~{sequence:06d}{SUFFIX}"


def writer_of(name: str) -> str:
    """Return the name of the journal that a segment belongs to.

    >>> writer_of("host~7~99~000001.journal")
    'host~7~99'
    """
    return name.rpartition("~")[0]


def process_is_gone(name: str) -> bool:
    """Whether the process that a file is named by is known to be gone; of one on another host nothing is known."""
    host, _, rest = name.partition("~")
    pid = rest.partition("~")[0]
    if host != host_name() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def host_name() -> str:
    """Return this host's name, as it stands in the names of files."""
    return "".join(c if c.isalnum() or c in "-." else "-" for c in socket.gethostname())
