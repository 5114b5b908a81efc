"""Fixtures of the fault tests: a small disk that can really be filled, and a recorder over a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import event
from tests_plane import _plane

from experiments.config.records import Config, RouterSettings
from experiments.journal.recorder import Recorder
from experiments.store import Store, open_store

__all__ = ["_plane"]


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a tmpfs of a size such as `64k`; the test is skipped where that is not permitted."""
    with ExitStack() as stack:

        def mount(size: str) -> Path:
            folder = tmp_path / f"disk-{size}"
            folder.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("only root can mount a disk that is small enough to fill")
            stack.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            return folder

        yield mount


@pytest.fixture(name="open_sqlite")
def _open_sqlite(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Open a migrated SQLite store that gives up on a lock after 50 ms instead of 5 s."""
    with ExitStack() as stack:

        def start(folder: Path = tmp_path) -> Store:
            store = open_store(f"sqlite:///{folder / 'touchstone.db'}")
            event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=50").close())
            store.migrate()
            stack.callback(store.close)
            return store

        yield start


@pytest.fixture(name="recorder_of")
def _recorder_of() -> Callable[[Path, Store], Recorder]:
    def build(folder: Path, store: Store) -> Recorder:
        settings = RouterSettings(journal=folder)
        return Recorder(Config(path=folder / "c.toml", router=settings, backends={}, experiments={}), store)

    return build
