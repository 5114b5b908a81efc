"""Whether a file of a journal still has a writer: by its lock first, which other containers' processes hold too."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.journal.format import segment_name
from experiments.journal.holding import FORSAKEN_S, NEW_SUFFIX, is_held, is_over, open_held

GONE = 2**22 + 1
"""No process has this id: as one looks that lives in another container."""


def held(path: Path) -> int:
    return open_held(path, os.O_WRONLY | os.O_APPEND)


def test_a_file_is_held_until_it_is_closed_and_has_no_other_name(tmp_path: Path) -> None:
    path = tmp_path / segment_name(os.getpid(), 1, 1)

    fd = held(path)
    os.write(fd, b"line\n")

    assert (is_held(path), path.read_bytes()) == (True, b"line\n")
    os.close(fd)
    assert not is_held(path)
    assert [found.name for found in tmp_path.iterdir() if found.name.endswith(NEW_SUFFIX)] == []


def test_a_writer_that_cannot_be_seen_lives_for_as_long_as_it_holds_its_file(tmp_path: Path) -> None:
    path = tmp_path / segment_name(GONE, 1, 1)

    fd = held(path)

    assert not is_over(path), "no process of this id is to be seen, and yet it writes"
    os.close(fd)
    assert is_over(path)


def test_a_writer_killed_by_9_lets_go(tmp_path: Path) -> None:
    path = tmp_path / segment_name(GONE, 1, 1)
    code = "import sys, time; from pathlib import Path; from experiments.journal.holding import open_held\n"
    code += "open_held(Path(sys.argv[1]), 1); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        before = is_over(path)
        writer.kill()
        writer.wait()

    assert (before, is_over(path)) == (False, True)


@pytest.mark.parametrize("writer", ["this process", "another host's"])
def test_where_locks_say_nothing_a_file_untouched_for_an_hour_is_over(tmp_path: Path, writer: str) -> None:
    here = segment_name(os.getpid(), 1, 1)
    path = tmp_path / (here if writer == "this process" else "another-host~7~1~000001.journal")
    path.touch()
    assert not is_over(path)

    os.utime(path, (time.time() - FORSAKEN_S - 1,) * 2)

    assert is_over(path)


def test_of_a_file_that_is_gone_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_over(tmp_path / "gone.journal")


def test_a_file_that_cannot_be_made_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        held(tmp_path / "none" / "x.journal")
