"""What a proxy says of its own recording: a small file beside its segments, read by the controller.

The file is filled once, when the journal starts, and overwritten in place from then on: that needs no room, so it works
on the full disk that it has to tell of. A proxy that shed something leaves its file behind, for the controller to count
and to remove; one that shed nothing takes it along.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import structlog

from experiments.evidence import Shed
from experiments.journal_format import writer_is_alive

_log = structlog.get_logger(__name__)
STATUS_SUFFIX = ".status"
_FILE_BYTES = 512
_REASON_CHARACTERS = 100
_STALE_SECONDS = 60.0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The recording of one proxy process, since it started."""

    shed: int = 0
    """Records that were not written."""
    texts_shed: int = 0
    """Exchanges that were written without their texts."""
    shedding: str = ""
    """Why something is being shed right now; empty if nothing is."""


_decode = msgspec.json.Decoder(Status).decode
UNREADABLE = Status(shedding="the status of a proxy cannot be read")
"""Made when the disk was full already, or read while it was being written: whoever cannot tell must not go on."""


class StatusFile:
    """The writing side.

    Args:
        path: Made at the first `write`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._written: Status | None = None

    def __repr__(self) -> str:
        return f"<StatusFile {self._path}>"

    def write(self, status: Status) -> None:
        """Overwrite the file; never raises for a full or broken disk: the next call tries again.

        While something is being shed the file is written each time: its age tells a reader that this is still so.
        """
        if status == self._written and not status.shedding:
            return
        short = msgspec.structs.replace(status, shedding=status.shedding[:_REASON_CHARACTERS])
        try:
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            done = os.pwrite(self._fd, msgspec.json.encode(short).ljust(_FILE_BYTES), 0)
        except OSError as error:
            _log.error("journal_status_failed", reason=error.strerror)
            return
        if done == _FILE_BYTES:
            self._written = status

    def close(self, last: Status) -> None:
        """Leave the last word if there is something to tell; else leave nothing."""
        if last.shed or last.texts_shed:
            self.write(last)
        elif self._fd is not None:
            self._path.unlink(missing_ok=True)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_status(path: Path) -> Status:
    """Read what a proxy says; one that cannot be read counts as shedding.

    Raises:
        FileNotFoundError: It is gone: its proxy had nothing to tell.
    """
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError, ValueError):
        return UNREADABLE


def _age_s(path: Path) -> float:
    """Seconds since a file was written; a process of another host may have died without our knowing."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


class ShedWatch:
    """The reading side: what all proxies of this machine have shed since the last look.

    Args:
        folder: The journal's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settled: dict[str, Status] = {}
        self._read: dict[str, Status] = {}
        self._left: list[Path] = []

    def read(self) -> Shed:
        """Return what was shed since `settle` was last called; at first, since the proxies started."""
        self._read, self._left = {}, []
        now, records, texts = False, 0, 0
        for path in sorted(self._folder.glob(f"*{STATUS_SUFFIX}")):
            # Asked before reading: a writer that dies in between may have written after our last look.
            alive = writer_is_alive(path.name)
            try:
                status = read_status(path)
            except FileNotFoundError:
                continue
            before = self._settled.get(path.name, Status())
            now |= alive and bool(status.shedding) and _age_s(path) < _STALE_SECONDS
            records += max(0, status.shed - before.shed)
            texts += max(0, status.texts_shed - before.texts_shed)
            self._read[path.name] = status
            if not alive:
                self._left.append(path)
        return Shed(now=now, records=records, texts=texts)

    def settle(self) -> None:
        """Take what was read for seen: it is stored with the looks by now. Files of dead proxies are removed."""
        self._settled = self._read
        for path in self._left:
            path.unlink(missing_ok=True)
        self._left = []
