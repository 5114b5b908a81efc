"""The file in which a proxy publishes its figures: written by one process, read by another at any moment.

Two files take turns, each overwritten in place. So a reader always finds one that is whole, also after kill -9 in the
middle of a write; and once they exist they need no room, so they still tell of the disk that is full. (A new file that
takes the old one's place would need room each time.)
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec
import structlog

from experiments.journal.format import process_is_gone
from experiments.journal.holding import is_held, open_held

_log = structlog.get_logger(__name__)
SUFFIX = ".metrics"
STALE_SECONDS = 15.0
"""A process that has published nothing for so long has no present: its counters count, its gauges do not."""
_BLOCK_BYTES = 16 * 1024
_HEADER = b"%08x %08x "
_HEADER_BYTES = 18

Series = dict[str, dict[tuple[str, ...], list[float]]]
"""Name -> label values -> one value, or a histogram's buckets and its sum."""
_Rows = dict[str, list[tuple[tuple[str, ...], list[float]]]]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a process published at one moment."""

    sequence: int
    ended: bool = False
    """Whether these are its last words."""
    rows: _Rows

    def series(self) -> Series:
        """Return the figures by name and labels."""
        return {name: dict(rows) for name, rows in self.rows.items()}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Snapshot).decode


class MetricsFile:
    """The writing side.

    Args:
        path: Without a suffix: the writer's name in the journal's folder.
    """

    def __init__(self, path: Path) -> None:
        self._paths = [path.with_name(f"{path.name}~{turn}{SUFFIX}") for turn in (0, 1)]
        self._fds: list[int | None] = [None, None]
        self._sequence = 0
        self._failing = False

    def __repr__(self) -> str:
        return f"<MetricsFile {self._paths[0]}>"

    def write(self, series: Series, *, ended: bool) -> None:
        """Publish; never raises for a full or broken disk: the next call tries again."""
        self._sequence += 1
        rows = {name: list(values.items()) for name, values in series.items()}
        payload = _encode(Snapshot(sequence=self._sequence, ended=ended, rows=rows))
        framed = _HEADER % (crc32(payload), len(payload)) + payload
        # Whole blocks: room to grow into when the disk is full.
        framed += b" " * (-len(framed) % _BLOCK_BYTES)
        try:
            self._overwrite(self._sequence % 2, framed)
        except OSError as error:
            if not self._failing:
                _log.error("metrics_not_published", reason=error.strerror)
            self._failing = True
            return
        self._failing = False

    def close(self) -> None:
        """Close both files; they stay."""
        for fd in self._fds:
            if fd is not None:
                os.close(fd)
        self._fds = [None, None]

    def _overwrite(self, turn: int, data: bytes) -> None:
        fd = self._fds[turn]
        if fd is None:
            fd = self._fds[turn] = open_held(self._paths[turn], os.O_WRONLY)
        if os.pwrite(fd, data, 0) != len(data):
            raise OSError(None, "the disk is full")


class Published(NamedTuple):
    """What is found of one process."""

    writer: str
    last: Snapshot | None
    """None if neither file could be read: it was killed in its first write, or the disk was full then."""
    over: bool
    """Whether nothing will follow."""
    present: bool
    """Whether its gauges still say something."""
    paths: tuple[Path, ...]


def published(folder: Path) -> list[Published]:
    """Read what all processes have published, in the order of their names."""
    writers: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"*~*~*~[01]{SUFFIX}")):
        writers.setdefault(path.name.rpartition("~")[0], []).append(path)
    return [_read(writer, paths) for writer, paths in writers.items()]


def _read(writer: str, paths: list[Path]) -> Published:
    # Asked before reading: a writer that dies in between may have written after our look.
    alive = any(map(_is_held, paths)) or not process_is_gone(writer)
    found = [snapshot for snapshot in map(_snapshot, paths) if snapshot is not None]
    last = max(found, key=lambda snapshot: snapshot.sequence, default=None)
    over = not alive or (last is not None and last.ended)
    fresh = max(map(_written_at, paths)) > time.time() - STALE_SECONDS
    return Published(writer, last, over, present=fresh and not over, paths=tuple(paths))


def _is_held(path: Path) -> bool:
    try:
        return is_held(path)
    except OSError:
        return False


def _snapshot(path: Path) -> Snapshot | None:
    """Return what one file says; None if it is gone, or was caught in the middle of a write."""
    try:
        data = path.read_bytes()
        checksum, length = int(data[:8], 16), int(data[9:17], 16)
        payload = data[_HEADER_BYTES : _HEADER_BYTES + length]
        if crc32(payload) != checksum:
            return None
        return _decode(payload)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")
