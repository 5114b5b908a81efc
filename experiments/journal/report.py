"""What is told of one journal's folder: what its proxies shed, and how much of it is not in the store yet.

The controller that leads may be on another machine, so it reads this in the store.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

from experiments.journal.format import host_name
from experiments.journal.holding import is_over
from experiments.journal.recorders import Recorders, Report
from experiments.journal.status import STATUS_SUFFIX, Status, read_status

IDENTITY = "folder.id"
BEAT_S = 5.0
"""A report that says nothing new is written so often, as a sign of life."""
_STALE_S = 60.0
"""A proxy that sheds says so each second; one that has been silent for longer sheds no more, or is gone."""


class FolderReport:
    """Reports on one folder; for one thread.

    Args:
        folder: The journal's.
        recorders: Where it is told.
    """

    def __init__(self, folder: Path, recorders: Recorders) -> None:
        self._folder = folder
        self._recorders = recorders
        self._last: Report | None = None
        self._last_s = float("-inf")

    def __repr__(self) -> str:
        return f"<FolderReport {self._folder}>"

    def tell(self, waiting_bytes: int, *, ended: bool = False) -> None:
        """Tell if there is something new, or it was long ago; what the controller has taken note of is tidied away.

        Args:
            waiting_bytes: What lies in the folder and is not in the store.
            ended: Whether this is the last report. While a proxy still writes there, its recorder is missing, not over.

        Raises:
            sqlalchemy.exc.DBAPIError: The store is away.
        """
        if not self._folder.is_dir():
            return
        writers, over = self._read()
        report = Report(
            folder=identity(self._folder),
            host=host_name(),
            waiting_bytes=waiting_bytes,
            writers=writers,
            ended=ended and len(over) == len(writers),
        )
        steady_s = time.monotonic()
        if report == self._last and steady_s - self._last_s < BEAT_S:
            return
        told = self._recorders.put(report, time.time())
        self._last, self._last_s = report, steady_s
        for path in over:
            status, known = writers[path.name], told.get(path.name)
            if known is not None and (known.shed, known.texts_shed) == (status.shed, status.texts_shed):
                path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Status], list[Path]]:
        """Return what each proxy says, by the name of its file, and the files of those that will say no more."""
        writers, over = {}, []
        for path in sorted(self._folder.glob(f"*{STATUS_SUFFIX}")):
            try:
                # Asked before reading: a writer that dies in between may have written after our look.
                gone = _is_over(path)
                status, age_s = read_status(path), time.time() - path.stat().st_mtime
            except FileNotFoundError:
                continue  # it had nothing to tell
            if gone:
                over.append(path)
            if gone or age_s > _STALE_S:
                status = Status(shed=status.shed, texts_shed=status.texts_shed)
            writers[path.name] = status
        return writers, over


def _is_over(path: Path) -> bool:
    try:
        return is_over(path)
    except FileNotFoundError:
        raise
    except OSError:
        return False


def identity(folder: Path) -> str:
    """Return what a folder is known by, which lies in it: containers may share host names and paths.

    Where nothing can be written, host and path have to do.
    """
    path = folder / IDENTITY
    with contextlib.suppress(OSError):
        if not path.exists():
            new = path.with_name(f"{IDENTITY}.{os.getpid()}.new")
            new.write_text(uuid.uuid4().hex, encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(new, path)
            new.unlink()
        found = path.read_text(encoding="ascii").strip()
        if found:
            return found
    return f"{host_name()}:{folder.resolve()}"
