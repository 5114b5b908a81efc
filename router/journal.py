"""The only write on the hot path: appends exchanges and feedback to segment files.

A record is one `os.write` of one encoded line: it survives kill -9 of the process as soon as the call returns. A
thread does what may block: fsync (policy `interval`: a power cut costs at most the last second), rotation by age, and
the check of the folder's size. When the disk or the folder is full, recording is shed and counted; traffic is never
refused.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Literal

import structlog

from experiments.journal_format import SUFFIX, encode, end_mark, segment_name
from experiments.model import Exchange, Feedback

_log = structlog.get_logger(__name__)
SEGMENT_BYTES = 16 * 2**20
SEGMENT_SECONDS = 60.0
LIMIT_BYTES = 4 * 2**30


class Journal:
    """The segments of one proxy process.

    Args:
        folder: Made if it is not there.
        fsync: When to force lines to the disk.
        limit_bytes: Size of the folder (of all processes) above which recording is shed.
        segment_bytes: Size at which a new segment is begun.
        segment_seconds: Age at which a new segment is begun.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        fsync: Literal["interval", "always", "never"] = "interval",
        *,
        limit_bytes: int = LIMIT_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._fsync = fsync
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._started_ns = time.time_ns()
        self._sequence = 0
        self._fd: int | None = None
        self._size = 0
        self._opened_at = 0.0
        self._synced = True
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="journal", daemon=True)
        self.written = 0
        self.shed = 0
        self.shedding = ""
        """Why records are being shed right now; empty if they are not."""

    def __repr__(self) -> str:
        return f"<Journal {self._folder} [{self.written} written, {self.shed} shed]>"

    def start(self) -> None:
        """Start the thread that syncs and rotates."""
        self._check_room()
        self._thread.start()

    def append(self, record: Exchange | Feedback) -> bool:
        """Append one record; returns whether it was written. Never raises for a full or broken disk."""
        line = encode(record)
        with self._lock:
            if self.shedding == _FOLDER_FULL:
                self.shed += 1
                return False
            try:
                self._write(line)
            except OSError as error:
                self._note_shedding(f"the journal cannot be written: {error.strerror}")
                self.shed += 1
                return False
            self.written += 1
            if self.shedding:
                self._note_shedding("")
        return True

    def close(self) -> None:
        """Stop the thread, and mark the segment as complete."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._close_segment()

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            self._open_segment()
        assert self._fd is not None  # noqa: S101  # just opened
        written = os.write(self._fd, line)
        if written != len(line):
            # Half a line would swallow the next one: take it back.
            os.ftruncate(self._fd, self._size)
            raise OSError(28, "No space left on device")
        self._size += written
        self._synced = False
        if self._fsync == "always":
            os.fsync(self._fd)
        if self._size >= self._segment_bytes:
            self._close_segment()

    def _open_segment(self) -> None:
        self._sequence += 1
        path = self._folder / segment_name(os.getpid(), self._started_ns, self._sequence)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._size = 0
        self._opened_at = time.monotonic()

    def _close_segment(self) -> None:
        if self._fd is None:
            return
        try:
            os.write(self._fd, end_mark())
            if self._fsync != "never":
                os.fsync(self._fd)
        except OSError as error:
            _log.error("journal_close_failed", reason=error.strerror)
        os.close(self._fd)
        self._fd = None
        self._synced = True

    def _note_shedding(self, reason: str) -> None:
        """Remember and log a change, once an episode."""
        if reason == self.shedding:
            return
        self.shedding = reason
        if reason:
            _log.error("recording_shed", reason=reason)
        else:
            _log.warning("recording_resumed", shed=self.shed)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._stop.wait(1.0):
            self._check_room()
            self._rotate_by_age()
            if self._fsync == "interval":
                self._sync()

    def _sync(self) -> None:
        with self._lock:
            if self._fd is None or self._synced:
                return
            # A copy of the descriptor, so that the slow part happens outside the lock.
            fd = os.dup(self._fd)
            self._synced = True
        try:
            os.fsync(fd)
        except OSError as error:
            _log.error("journal_sync_failed", reason=error.strerror)
        finally:
            os.close(fd)

    def _rotate_by_age(self) -> None:
        with self._lock:
            if self._fd is not None and self._size and time.monotonic() - self._opened_at >= self._segment_seconds:
                self._close_segment()

    def _check_room(self) -> None:
        full = folder_bytes(self._folder) >= self._limit_bytes
        with self._lock:
            if full:
                self._note_shedding(_FOLDER_FULL)
            elif self.shedding == _FOLDER_FULL:
                self._note_shedding("")


_FOLDER_FULL = "the journal folder has reached its limit"


def folder_bytes(folder: Path) -> int:
    """Return the size of all segments; one that is deleted while we look counts nothing."""
    total = 0
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
