"""One process holds a file at a time, and the next one when that is gone."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.file_lock import FileLock

HOLDER = "import sys, time; from pathlib import Path; from experiments.file_lock import FileLock\n"
HOLDER += "lock = FileLock(Path(sys.argv[1])); print(lock.take(), flush=True); time.sleep(60)"


def test_it_is_held_by_one_until_that_lets_go(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "new" / "lock"), FileLock(tmp_path / "new" / "lock")

    assert (first.take(), second.take(), first.is_held(), second.is_held()) == (True, False, True, False)
    first.release()
    first.release()
    assert (second.take(), first.is_held()) == (True, False)
    second.release()


def test_a_holder_killed_by_9_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        lock = FileLock(path)
        during = lock.take()
        holder.kill()
        holder.wait()

    assert (during, lock.take()) == (False, True)
    lock.release()


def test_a_lock_whose_file_is_gone_or_another_one_is_held_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    lock.take()
    path.unlink()
    assert not lock.is_held()
    path.touch()
    assert lock.take()
    lock.release()


def test_where_no_file_can_be_it_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        FileLock(tmp_path / "file" / "lock").take()
