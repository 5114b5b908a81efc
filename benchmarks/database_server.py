"""The CPU of a PostgreSQL server on this machine: its processes come and go, so their father's account counts too."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine, text

from benchmarks.processes import cpu_seconds


class DatabaseServer:
    """Meters a server.

    Args:
        postmaster: Its first process.
    """

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster

    def __repr__(self) -> str:
        return f"<DatabaseServer {self._postmaster}>"

    @classmethod
    def behind(cls, url: str) -> DatabaseServer | None:
        """Return the server behind a SQLAlchemy URL; None if that is no PostgreSQL, or runs on another machine."""
        if not url.startswith("postgresql"):
            return None
        engine = create_engine(url)
        with engine.connect() as connection:
            folder = Path(connection.execute(text("SHOW data_directory")).scalar_one())
        engine.dispose()
        with suppress(OSError, ValueError):
            postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
            if Path(f"/proc/{postmaster}").is_dir():
                return cls(postmaster)
        return None

    def cpu_s(self) -> float:
        """Return the user and system time of all its processes so far, those that have ended among them."""
        while True:
            ended_s = self._of_ended()
            living_s = cpu_seconds([self._postmaster]) + sum(map(_of_one, self._children()))
            if self._of_ended() == ended_s:  # else one has ended meanwhile, and is counted twice or not at all
                return ended_s + living_s

    def _children(self) -> list[int]:
        listed = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def _of_ended(self) -> float:
        fields = Path(f"/proc/{self._postmaster}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _of_one(pid: int) -> float:
    try:
        return cpu_seconds([pid])
    except OSError:  # it has ended just now
        return 0.0
