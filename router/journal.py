"""The only write on the hot path: appends exchanges and feedback to segment files.

A record is one `os.write` of one encoded line: it survives kill -9 of the process as soon as the call returns. A
thread does what may block: fsync (policy `interval`: a power cut costs at most the last second), rotation by age, and
the check of the folder's size. When the disk or the folder is full, recording is shed and counted: first the texts of
exchanges (from 90 % of the limit on), then whole records. Traffic is never refused. A status file beside the segments
tells the controller, which holds its experiments meanwhile.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from experiments.journal.format import SUFFIX, encode, end_mark, segment_name, writer_name
from experiments.journal.holding import open_held
from experiments.journal.status import STATUS_SUFFIX, Status, StatusFile
from experiments.model import Exchange, Feedback

_log = structlog.get_logger(__name__)
SEGMENT_BYTES = 16 * 2**20
SEGMENT_SECONDS = 60.0
LIMIT_BYTES = 4 * 2**30
TEXT_SHARE = 0.9
"""Above this share of the limit, texts are dropped: figures outlive words."""


class Journal:
    """The segments of one proxy process.

    Args:
        folder: Made if it is not there.
        fsync: When to force lines to the disk.
        limit_bytes: Size of the folder (of all processes) above which recording is shed; what other processes write
            is looked at once a second.
        segment_bytes: Size at which a new segment is begun.
        segment_seconds: Age at which a new segment is begun.
        keep: Returns what of an exchange may be written, before anything of it is; all of it unless given. It is called
            on the traffic's path, and never raises.

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
        keep: Callable[[Exchange], Exchange] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._fsync = fsync
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._keep_of = keep
        self._started_ns = time.time_ns()
        self._status = StatusFile(folder / f"{writer_name(os.getpid(), self._started_ns)}{STATUS_SUFFIX}")
        self.used_bytes = 0
        """Size of the folder's segments, of all processes, as far as this one knows."""
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
        """Records that were not written."""
        self.texts_shed = 0
        """Exchanges that were written without their texts."""
        self.shedding = ""
        """Why records are being shed right now; empty if they are not."""
        self.shedding_texts = False
        """Whether the texts of exchanges are being dropped right now."""

    def __repr__(self) -> str:
        return f"<Journal {self._folder} [{self.written} written, {self.shed} shed]>"

    def start(self) -> None:
        """Start the thread that syncs and rotates."""
        self._check_room()
        self._thread.start()

    def append(self, record: Exchange | Feedback) -> bool:
        """Append one record; returns whether it was written. Never raises for a full or broken disk."""
        if self._keep_of is not None and isinstance(record, Exchange):
            record = self._keep_of(record)
        bare = self.shedding_texts and isinstance(record, Exchange) and _has_text(record)
        line = encode(msgspec.structs.replace(record, **_NO_TEXT) if bare else record)
        with self._lock:
            if self.shedding == _FOLDER_FULL:
                self.shed += 1
                return False
            try:
                self._write(line)
            except OSError as error:
                self.shed += 1
                self._note_shedding(f"the journal cannot be written: {error.strerror}")
                return False
            self.written += 1
            self.texts_shed += bare
            if self.shedding:
                self._note_shedding("")
            self._note_room(len(line))
        return True

    def close(self) -> None:
        """Stop the thread, and mark the segment as complete."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._close_segment()
            self._status.close(Status(shed=self.shed, texts_shed=self.texts_shed))

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _write(self, line: bytes) -> None:
        if self._fd is None:
            self._open_segment()
        assert self._fd is not None  # noqa: S101  # just opened
        written = os.write(self._fd, line)
        if written != len(line):
            # Half a line would swallow the next one: take it back.
            os.ftruncate(self._fd, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written
        self._synced = False
        if self._fsync == "always":
            os.fsync(self._fd)
        if self._size >= self._segment_bytes:
            self._close_segment()

    def _open_segment(self) -> None:
        path = self._folder / segment_name(os.getpid(), self._started_ns, self._sequence + 1)
        self._fd = open_held(path, os.O_WRONLY | os.O_APPEND)
        self._sequence += 1
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
            # No harm: the next segment, or the end of this process, says as well that nothing follows.
            _log.error("journal_close_failed", reason=error.strerror)
        os.close(self._fd)
        self._fd = None
        self._size = 0
        self._synced = True

    def _note_room(self, more_bytes: int = 0) -> None:
        """Compare the folder's size with the limit. Only `_check_room`, which looks at the folder, finds room again."""
        self.used_bytes += more_bytes
        if self.used_bytes >= self._limit_bytes:
            self._note_shedding(_FOLDER_FULL)
        if self.used_bytes >= self._limit_bytes * TEXT_SHARE and not self.shedding_texts:
            self.shedding_texts = True
            _log.error("texts_shed", reason=_FOLDER_NEARLY_FULL)
            self._publish()

    def _note_shedding(self, reason: str) -> None:
        """Remember, log and publish a change, once an episode."""
        if reason == self.shedding:
            return
        self.shedding = reason
        if reason:
            _log.error("recording_shed", reason=reason)
        else:
            _log.warning("recording_resumed", shed=self.shed)
        self._publish()

    def _publish(self) -> None:
        reason = self.shedding or (_FOLDER_NEARLY_FULL if self.shedding_texts else "")
        self._status.write(Status(shed=self.shed, texts_shed=self.texts_shed, shedding=reason))

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._stop.wait(1.0):
            self._check_room()
            self._rotate()
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

    def _rotate(self) -> None:
        """Close an old segment; while shedding any, since only closed ones can be loaded to their end and deleted."""
        with self._lock:
            old = time.monotonic() - self._opened_at >= self._segment_seconds
            if self._fd is not None and self._size and (old or self.shedding):
                self._close_segment()

    def _check_room(self) -> None:
        used = folder_bytes(self._folder)
        with self._lock:
            self.used_bytes = used
            if used < self._limit_bytes and self.shedding == _FOLDER_FULL:
                self._note_shedding("")
            if used < self._limit_bytes * TEXT_SHARE and self.shedding_texts:
                self.shedding_texts = False
                _log.warning("texts_kept_again", texts_shed=self.texts_shed)
            self._note_room()
            self._publish()


_FOLDER_FULL = "the journal folder has reached its limit"
_FOLDER_NEARLY_FULL = "the journal folder is nearly full: texts are dropped"
_NO_TEXT = {"request_text": "", "response_text": "", "truncated": True}


def _has_text(exchange: Exchange) -> bool:
    return bool(exchange.request_text or exchange.response_text)


def folder_bytes(folder: Path) -> int:
    """Return the size of all segments; one that is deleted while we look counts nothing."""
    total = 0
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
