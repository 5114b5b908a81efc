"""What a proxy says of its own recording."""

import os
from pathlib import Path

import pytest

from experiments.journal.format import writer_name
from experiments.journal.status import STATUS_SUFFIX, UNREADABLE, Status, StatusFile, read_status

GONE = 2**22 + 1
"""No process has this id."""


def status_path(folder: Path, pid: int | None = None) -> Path:
    return folder / f"{writer_name(os.getpid() if pid is None else pid, 1)}{STATUS_SUFFIX}"


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
