"""What a proxy says of its own recording: a small file beside its segments, read by whoever records the folder.

The file is filled once, when the journal starts, and overwritten in place from then on: that needs no room, so it works
on the full disk that it has to tell of. A proxy that shed something leaves its file behind, to be counted and removed
(`experiments.journal.report`); one that shed nothing takes it along.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from experiments.journal.holding import open_held

_log = structlog.get_logger(__name__)
STATUS_SUFFIX = ".status"
_FILE_BYTES = 512
_REASON_CHARACTERS = 100


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
                self._fd = open_held(self._path, os.O_WRONLY)
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
