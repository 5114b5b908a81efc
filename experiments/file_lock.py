"""`flock` on a file: held by one process at a time, and let go of by the kernel when that ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on a file that is made, and never deleted: whoever deleted it would make room for a second holder.

    The lock belongs to the open file. Python closes that in a program that is started from here; a bare fork would
    share it, and must not outlive us.

    Args:
        path: Of the file; its folder is made, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def __repr__(self) -> str:
        return f"<file lock {self._path.name}>"

    def take(self) -> bool:
        """Take it, if no other process holds it; returns whether it is ours.

        Raises:
            OSError: It cannot be told: the file cannot be opened, or its file system has no locks.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another one holds it
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        return self.is_held()

    def is_held(self) -> bool:
        """Whether it is ours; once it is not, the file is closed."""
        if self._fd is None:
            return False
        # A lock on a file that is no longer there under its name keeps nobody out.
        try:
            same = os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            same = False
        if not same:
            self.release()
        return same

    def release(self) -> None:
        """Let go; no error if it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
