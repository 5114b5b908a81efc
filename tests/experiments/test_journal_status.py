"""What a proxy says of its own recording, and what the controller makes of it."""

import os
import time
from pathlib import Path

import pytest

from experiments.evidence import Shed
from experiments.journal_format import writer_name
from experiments.journal_status import STATUS_SUFFIX, UNREADABLE, ShedWatch, Status, StatusFile, read_status

GONE = 2**22 + 1
"""No process has this id."""
NOTHING = Shed()


def status_path(folder: Path, pid: int | None = None) -> Path:
    return folder / f"{writer_name(os.getpid() if pid is None else pid, 1)}{STATUS_SUFFIX}"


def looked(watch: ShedWatch) -> Shed:
    found = watch.read()
    watch.settle()
    return found


def test_a_status_is_read_as_it_was_written_and_the_file_never_grows(tmp_path: Path) -> None:
    path = status_path(tmp_path)
    file, sizes = StatusFile(path), set()
    for status in (Status(), Status(shed=7, texts_shed=2, shedding="full"), Status(shed=10**12, shedding="x" * 90)):
        file.write(status)
        assert read_status(path) == status
        sizes.add(path.stat().st_size)
    file.close(Status(shed=1))

    assert sizes == {512}


def test_a_journal_that_shed_nothing_leaves_no_file_and_one_that_did_leaves_its_last_word(tmp_path: Path) -> None:
    path = status_path(tmp_path)
    quiet, loud = StatusFile(path), StatusFile(status_path(tmp_path, GONE))
    for file in (quiet, loud):
        file.write(Status())

    quiet.close(Status())
    loud.close(Status(shed=3))

    assert not path.exists()
    assert read_status(status_path(tmp_path, GONE)) == Status(shed=3)


@pytest.mark.parametrize("content", [b"", b"{", b'{"shed": "many"}', b"\xff" * 512])
def test_a_status_that_cannot_be_read_counts_as_shedding(tmp_path: Path, content: bytes) -> None:
    status_path(tmp_path).write_bytes(content)

    assert read_status(status_path(tmp_path)) == UNREADABLE
    assert looked(ShedWatch(tmp_path)).now


def test_a_look_hears_of_what_was_shed_since_the_one_before(tmp_path: Path) -> None:
    file, watch = StatusFile(status_path(tmp_path)), ShedWatch(tmp_path)
    assert looked(watch) == NOTHING
    file.write(Status(shed=5, texts_shed=1, shedding="full"))
    assert looked(watch) == Shed(now=True, records=5, texts=1)
    assert looked(watch) == Shed(now=True)
    file.write(Status(shed=8, texts_shed=1))
    assert watch.read() == Shed(records=3), "and again, as long as no look was stored"
    assert looked(watch) == Shed(records=3)
    assert looked(watch) == NOTHING
    file.close(Status(shed=8, texts_shed=1))


def test_the_last_word_of_a_dead_proxy_is_counted_once_and_its_file_removed(tmp_path: Path) -> None:
    path, watch = status_path(tmp_path, GONE), ShedWatch(tmp_path)
    StatusFile(path).write(Status(shed=4, shedding="full"))

    assert watch.read() == Shed(records=4), "dead: it is shedding no more"
    assert path.exists(), "until the look is stored"
    watch.settle()

    assert not path.exists()
    assert looked(watch) == NOTHING


def test_a_proxy_of_another_host_that_fell_silent_holds_nobody_for_ever(tmp_path: Path) -> None:
    path = tmp_path / f"elsewhere~7~1{STATUS_SUFFIX}"
    StatusFile(path).write(Status(shed=4, shedding="full"))
    watch = ShedWatch(tmp_path)
    assert looked(watch).now

    os.utime(path, (time.time() - 120,) * 2)

    assert looked(watch) == NOTHING


def test_a_folder_that_is_not_there_yet_has_shed_nothing(tmp_path: Path) -> None:
    assert looked(ShedWatch(tmp_path / "none")) == NOTHING
