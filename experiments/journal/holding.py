"""Who still writes to a file: its writer holds a lock on it for as long as it lives.

The kernel lets go of the lock when the process ends, by kill -9 too, and answers for processes that we cannot see: one
in another container that shares the folder. A process id says nothing there. Two cases need more than the lock. On a
network file system a host may not see another one's locks; and a file may be from before there were any.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from experiments.journal.format import process_is_gone

NEW_SUFFIX = ".new"
FORSAKEN_S = 3_600.0
"""A segment is closed after a minute, so one that nobody holds and nobody has touched for so long is nobody's."""


def open_held(path: Path, flags: int) -> int:
    """Make a file and hold it; whoever sees it under its name sees it held.

    Args:
        path: Must not be there.
        flags: Of `os.open`, beside those that make the file.

    Returns:
        The open file. Closing it gives it up.

    Raises:
        OSError: The file cannot be made.
    """
    new = path.with_name(path.name + NEW_SUFFIX)
    fd = os.open(new, flags | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: `is_over` goes by other signs
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_held(path: Path) -> bool:
    """Whether a process holds a file.

    Raises:
        FileNotFoundError: It is gone.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # no locks here
    finally:
        os.close(fd)
    return False


def is_over(path: Path) -> bool:
    """Whether nobody will write to a file of a journal any more. If that cannot be told, somebody may.

    Raises:
        OSError: The file is gone, or cannot be read.
    """
    if is_held(path):
        return False
    return process_is_gone(path.name) or time.time() - path.stat().st_mtime > FORSAKEN_S
