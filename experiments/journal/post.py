"""One recorder a folder: on every host one process loads the journal, whichever controller leads.

Two that load the same segment do no harm to exchanges, which have ids, but they do each other's work, and feedback has
no id to be known by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from experiments.file_lock import FileLock
from experiments.journal.recorder import Recorder

_log = structlog.get_logger(__name__)
LOCK = "recorder.lock"


class RecordingPost:
    """Loads a folder while no other process does. For one thread.

    Args:
        recorder: Does the loading.
        folder: The journal's.
    """

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self._recorder = recorder
        self._lock = FileLock(folder / LOCK)
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<RecordingPost {self._lock!r} [{'ours' if self.is_ours else 'not ours'}]>"

    @property
    def is_ours(self) -> bool:
        """Whether the folder is ours to record."""
        return self._lock.is_held()

    def record(self) -> int:
        """Load everything that is whole now, unless another process of this folder does.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away, locked or full. What was loaded stays; call again.
        """
        return self._recorder.record() if self._hold() else 0

    def close(self) -> None:
        """Load what is left, and leave the folder to another one. A store that is away is logged."""
        try:
            if self._hold():
                self._recorder.close()
        except SQLAlchemyError as error:
            _log.error("journal_left", reason=type(error).__name__)
        finally:
            self.leave()

    def _hold(self) -> bool:
        """Whether this process may record: it holds the lock, or there is none to be had."""
        if self._lock.is_held():
            return True
        try:
            mine = self._lock.take()
        except OSError as error:
            # A disk that is full or read-only, a file system without locks: what lies there is loaded all the same.
            self._note(f"the lock cannot be had: {error.strerror}")
            return True
        self._note("" if mine else "another process records this folder")
        return mine

    def leave(self) -> None:
        """Let another process record the folder; no error if none of it is ours."""
        self._lock.release()

    def _note(self, trouble: str) -> None:
        """Log a state of affairs once."""
        if trouble and trouble != self._trouble:
            _log.info("recording_post", reason=trouble)
        self._trouble = trouble


def run(post: RecordingPost, stop: Any, interval_s: float = 0.5) -> None:
    """Record until `stop` (a `threading.Event`) is set. What fails is logged once an episode, and tried again."""
    trouble = ""
    while not stop.is_set():
        trouble = record_or_log(post, trouble)
        stop.wait(interval_s)
    post.close()


def record_or_log(post: RecordingPost, trouble: str) -> str:
    """Record once; returns what went wrong, which is not logged again while it stays the same."""
    try:
        post.record()
    except Exception as error:  # noqa: BLE001  # the store may be away for minutes; the loop goes on
        found = type(error).__name__
        if found != trouble:
            _log.error("recording_failed", trouble=found, exc_info=error)
        return found
    return ""
